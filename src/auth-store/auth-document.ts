import { inspect } from 'node:util';
import { invalidCredential, SidecarError } from '../base/errors.ts';
import { isObject, type JsonObject, parseJson } from '../base/json.ts';
import { Secret } from '../base/secret.ts';
import { readForeignLayout } from './foreign-layout.ts';
import {
  invalid,
  isAbsent,
  type Place,
  type StoredObject,
  secretOf,
  storedFlag,
  storedHeaderText,
  storedObject,
  storedSecret,
  storedSegmentId,
  storedTaskId,
  storedText,
  storedTime,
} from './stored-values.ts';

const MODES = [
  'apikey',
  'chatgpt',
  'chatgptAuthTokens',
  'agentIdentity',
  'personalAccessToken',
] as const;

/** The values of Codex's `auth_mode` that can be used here; others are refused with a message. */
export type AuthMode = (typeof MODES)[number];

export interface StoredTokens {
  idToken: Secret | null;
  accessToken: Secret;
  refreshToken: Secret | null;
  accountId: string | null;
  /** Who issued the tokens, and to which client; null where nobody wrote it down. */
  provenance: TokenProvenance | null;
  /** Where they are from, for messages: their store, or a response. */
  place: string;
}

/** `tokens.oauth_provenance`, as a sign-in of Codex 0.169.0 or later writes it. */
export interface TokenProvenance {
  issuer: string;
  clientId: string;
  /** Where it is kept, for messages. */
  place: string;
}

/** A registered identity as it is stored beside the ChatGPT tokens (observed from 0.169.0). */
export interface IdentityRecord {
  agentRuntimeId: string;
  /** PKCS#8 in base64, version 1 or 2. */
  privateKey: Secret;
  accountId: string;
  userId: string;
  email: string | null;
  planType: string | null;
  fedramp: boolean;
  /** null when absent or blank: no task is registered yet. */
  taskId: string | null;
}

/** The change that removes every credential; a new login adds its own to it, so that none outranks it. */
export const NO_CREDENTIAL: JsonObject = {
  auth_mode: undefined,
  OPENAI_API_KEY: undefined,
  tokens: undefined,
  last_refresh: undefined,
  agent_identity: undefined,
  personal_access_token: undefined,
};

/**
 * The content of `auth.json`, or of the same in another store. Unknown fields are kept and written back. Nothing in it can be printed
 * by accident.
 */
export class AuthDocument {
  readonly #raw: JsonObject;
  /** Where it is kept, for messages. */
  readonly place: Place;
  readonly mode: AuthMode;
  readonly apiKey: Secret | null;
  readonly tokens: StoredTokens | null;
  readonly identityToken: Secret | null;
  readonly identityRecord: IdentityRecord | null;
  /** Why a record beside ChatGPT tokens cannot be read; it counts as absent and gets replaced. */
  readonly recordProblem: SidecarError | null;
  readonly personalAccessToken: Secret | null;
  readonly lastRefresh: string | null;

  constructor(raw: JsonObject, place: Place) {
    this.#raw = raw;
    this.place = place;
    const stored = { values: raw, place, path: '' };
    this.apiKey = storedSecret(stored, 'OPENAI_API_KEY');
    this.personalAccessToken = storedSecret(stored, 'personal_access_token');
    this.tokens = readTokens(storedObject(stored, 'tokens'));
    this.lastRefresh = storedTime(raw.last_refresh);
    const identity = raw.agent_identity;
    const isToken = typeof identity === 'string';
    this.identityToken = isToken ? storedSecret(stored, 'agent_identity') : null;
    if (!isAbsent(identity) && !isToken && !isObject(identity)) {
      throw invalid(stored, 'agent_identity', 'must be a JWT or a record');
    }
    const record = isToken ? null : tryRecord(storedObject(stored, 'agent_identity'));
    this.identityRecord = record instanceof SidecarError ? null : record;
    this.recordProblem = record instanceof SidecarError ? record : null;
    if (this.recordProblem && !this.tokens) throw this.recordProblem;
    this.mode = modeOf(stored) ?? this.#inferMode();
  }

  /** JSON text with some top-level fields replaced; `undefined` removes one. */
  serialize(changes: JsonObject): string {
    return `${JSON.stringify({ ...this.#raw, ...changes }, null, 2)}\n`;
  }

  /**
   * The change that replaces some fields of `tokens`; all others stay, known or not. A null keeps the
   * old value.
   */
  tokensChange(fresh: { [field: string]: string | null }): JsonObject {
    const old = isObject(this.#raw.tokens) ? this.#raw.tokens : {};
    const present = Object.entries(fresh).filter(([, value]) => value !== null);
    return { tokens: { ...old, ...Object.fromEntries(present) } };
  }

  /**
   * The change that stores a record. Unknown fields of the stored record stay, unless it belongs to
   * another agent.
   */
  identityChange(record: IdentityRecord): JsonObject {
    const same = this.identityRecord?.agentRuntimeId === record.agentRuntimeId;
    const kept = same ? (this.#raw.agent_identity as JsonObject) : {};
    return { agent_identity: { ...kept, ...encodeIdentityRecord(record) } };
  }

  /** Whether these top-level fields are the same in `other`. */
  agreesWith(other: AuthDocument, fields: readonly string[]): boolean {
    const text = (raw: JsonObject) => JSON.stringify(fields.map((name) => raw[name]));
    return text(this.#raw) === text(other.#raw);
  }

  /** Whether nobody is signed in here, as after a logout. */
  get isEmpty(): boolean {
    const { apiKey, tokens, identityToken, identityRecord, personalAccessToken } = this;
    const anything = apiKey ?? tokens ?? identityToken ?? identityRecord ?? personalAccessToken;
    return anything === null && isAbsent(this.#raw.auth_mode);
  }

  /** The tool in whose layout this is, if it holds nothing in Codex's own; null: none is known. */
  get foreignTool(): string | null {
    return this.isEmpty ? (readForeignLayout(this.#raw)?.tool ?? null) : null;
  }

  toJSON(): string {
    return '[redacted]';
  }

  [inspect.custom](): string {
    return 'AuthDocument [redacted]';
  }

  // Codex's own order, then the case that Codex leaves out: a JWT and nothing else
  // (review of openai/codex pull request 18904).
  #inferMode(): AuthMode {
    if (this.personalAccessToken) return 'personalAccessToken';
    if (this.apiKey) return 'apikey';
    if (!this.tokens && (this.identityToken || this.identityRecord)) return 'agentIdentity';
    return 'chatgpt';
  }
}

/** The text of an `auth.json`. @throws SidecarError AUTH_CREDENTIAL_INVALID naming the field */
export function parseAuthDocument(text: string): AuthDocument {
  return new AuthDocument(parseAuthJson(text), 'auth.json');
}

/** @throws SidecarError AUTH_CREDENTIAL_INVALID */
export function parseAuthJson(text: string): JsonObject {
  const raw = parseJson(text);
  if (raw === undefined) {
    throw invalidCredential(
      'auth.json',
      'is not valid JSON; repair it, or move it away and sign in',
    );
  }
  if (!isObject(raw)) throw invalidCredential('auth.json', 'is not a JSON object');
  return raw;
}

/** The JSON form of a record, with the field names of Codex. */
function encodeIdentityRecord(record: IdentityRecord): JsonObject {
  return {
    agent_runtime_id: record.agentRuntimeId,
    agent_private_key: record.privateKey.reveal(),
    account_id: record.accountId,
    chatgpt_user_id: record.userId,
    email: record.email,
    plan_type: record.planType,
    chatgpt_account_is_fedramp: record.fedramp,
    ...(record.taskId === null ? {} : { task_id: record.taskId }),
  };
}

function modeOf(stored: StoredObject): AuthMode | null {
  const value = stored.values.auth_mode;
  if (isAbsent(value)) return null;
  const mode = MODES.find((known) => known === value);
  if (mode) return mode;
  if (value === 'bedrockApiKey' || value === 'bedrockAccessKeys' || value === 'headers') {
    throw invalid(
      stored,
      'auth_mode',
      `"${value}" cannot be used here; sign in with ChatGPT or an API key`,
    );
  }
  throw invalid(stored, 'auth_mode', `is not one of ${MODES.join(', ')}`);
}

function readTokens(stored: StoredObject | null): StoredTokens | null {
  if (!stored) return null;
  const accessToken = storedSecret(stored, 'access_token');
  if (!accessToken) throw invalid(stored, 'access_token', 'is missing');
  return {
    accessToken,
    idToken: storedSecret(stored, 'id_token'),
    // It travels in a body, where any text may stand.
    refreshToken: secretOf(storedText(stored, 'refresh_token')?.trim() ?? null),
    accountId: storedHeaderText(stored, 'account_id'),
    provenance: readProvenance(storedObject(stored, 'oauth_provenance')),
    place: stored.place,
  };
}

function readProvenance(stored: StoredObject | null): TokenProvenance | null {
  if (!stored) return null;
  const issuer = storedHeaderText(stored, 'issuer');
  const clientId = storedHeaderText(stored, 'client_id');
  if (issuer === null) throw invalid(stored, 'issuer', 'is missing');
  if (clientId === null) throw invalid(stored, 'client_id', 'is missing');
  return { issuer, clientId, place: stored.place };
}

function tryRecord(stored: StoredObject | null): IdentityRecord | SidecarError | null {
  try {
    return stored && readRecord(stored);
  } catch (error) {
    if (error instanceof SidecarError) return error;
    throw error;
  }
}

function readRecord(stored: StoredObject): IdentityRecord {
  const required = (name: string, read = storedText): string => {
    const found = read(stored, name);
    if (found === null) throw invalid(stored, name, 'is missing');
    return found;
  };
  return {
    agentRuntimeId: required('agent_runtime_id', storedSegmentId),
    privateKey: new Secret(required('agent_private_key')),
    accountId: required('account_id', storedHeaderText),
    userId: required('chatgpt_user_id'),
    email: storedText(stored, 'email'),
    planType: storedText(stored, 'plan_type'),
    fedramp: storedFlag(stored, 'chatgpt_account_is_fedramp'),
    taskId: storedTaskId(stored),
  };
}
