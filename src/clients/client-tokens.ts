import { createHash, timingSafeEqual } from 'node:crypto';
import { ConfigError } from '../base/errors.ts';
import { matchesPattern, PATH_PATTERN } from '../base/path-pattern.ts';
import { type ClientLimits, LIMIT_NAMES, parseLimits } from './limits.ts';

/**
 * What a token is for, as `for=` names it in the tokens file. `inference` is what any client of the
 * Responses API needs; `codex` is all that Codex asks for. The routes of the configuration hold as well.
 */
export const PURPOSES = {
  inference: [
    '/backend-api/codex/responses',
    '/backend-api/codex/responses/compact',
    '/backend-api/codex/models',
  ],
  codex: [
    '/backend-api/codex/*',
    '/backend-api/wham/*',
    '/backend-api/ps/*',
    '/backend-api/plugins/*',
    '/backend-api/connectors/*',
    '/backend-api/files/*',
    '/backend-api/accounts/*/settings',
  ],
} as const satisfies Record<string, readonly string[]>;

export type Purpose = keyof typeof PURPOSES;

/** Whether `text` names a {@link Purpose}. */
function isPurpose(text: string): text is Purpose {
  return Object.hasOwn(PURPOSES, text);
}

/** What a client token may do. Only the SHA-256 of the token itself is known. */
export interface ClientToken {
  name: string;
  /** The token is refused from then on, in milliseconds since 1970; null: it never expires. */
  expiresAt: number | null;
  /** null: no purpose is named, and `routes` alone count. */
  purpose: Purpose | null;
  /** Patterns, as `base/path-pattern.ts` knows them; null with no purpose: every path. */
  routes: readonly string[] | null;
  /** null: nothing is limited. */
  limits: ClientLimits | null;
}

/** A client that may call: its name, its rights, and what it proves itself with. */
export interface Client extends ClientToken {
  /** Tells it from a later client with the same name: of a token its SHA-256 in hex. */
  key: string;
  /** Purpose and routes together; null: every path. */
  patterns: readonly string[] | null;
}

/** The client tokens that may use the proxy. */
export class ClientTokens {
  readonly #entries: readonly { digest: Buffer; client: Client }[];
  readonly #byKey: ReadonlyMap<string, Client>;

  constructor(clients: readonly Client[]) {
    this.#byKey = new Map(clients.map((client) => [client.key, client]));
    this.#entries = clients.map((client) => ({ digest: Buffer.from(client.key, 'hex'), client }));
  }

  get size(): number {
    return this.#entries.length;
  }

  /** The tokens without their digests, in the order of the file. */
  get list(): ClientToken[] {
    return this.#entries.map(({ client: { key: _, patterns: __, ...token } }) => token);
  }

  /** The client with a token, expired or not. Compares with every entry in constant time. */
  find(token: string | null): Client | null {
    if (token === null || token === '') return null;
    const digest = createHash('sha256').update(token).digest();
    let found: Client | null = null;
    for (const entry of this.#entries) {
      if (timingSafeEqual(digest, entry.digest)) found = entry.client;
    }
    return found;
  }

  /** What the same token may do here; null when it is not there any more. */
  current({ key }: Client): Client | null {
    return this.#byKey.get(key) ?? null;
  }
}

/** Whether a token is allowed on a path. @param path in normal form */
export function reachesPath({ patterns }: Pick<Client, 'patterns'>, path: string): boolean {
  return patterns === null || patterns.some((pattern) => matchesPattern(pattern, path));
}

/** Purpose and routes together; null: every path. */
export function patternsOf({ purpose, routes }: Omit<ClientToken, 'name'>): string[] | null {
  if (purpose === null && routes === null) return null;
  return [...(purpose === null ? [] : PURPOSES[purpose]), ...(routes ?? [])];
}

const NAME = /^[A-Za-z0-9._-]{1,64}$/;
const DIGEST = /^[0-9a-f]{64}$/;
const FIELDS = ['expires', 'for', 'routes', ...LIMIT_NAMES];
/** What `printf '' | sha256sum` prints; whoever wrote it down had no token. */
const DIGEST_OF_NOTHING = createHash('sha256').update('').digest('hex');
const TIME = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,9})?Z$/;

/** Whether `name` is a valid token name. */
export function isTokenName(name: string): boolean {
  return NAME.test(name);
}

/**
 * Reads a tokens file. Each line holds one token, `name:sha256-of-token-in-hex`, and after it,
 * separated by blanks, optional limits: `expires=2027-01-31T00:00:00Z`, `for=inference`,
 * `routes=/path,/prefix/*`, and those of {@link ClientLimits}. A line without `for` and `routes`
 * reaches every path.
 * Blank lines and lines that begin with `#` are skipped.
 * @throws ConfigError naming the line, never its content
 */
export function parseClientTokens(text: string): ClientTokens {
  const entries = new Map<string, Client>();
  const digests = new Set<string>();
  for (const [index, line] of text.split('\n').entries()) {
    const trimmed = line.trim();
    if (trimmed === '' || trimmed.startsWith('#')) continue;
    const refuse = (problem: string): never => {
      throw new ConfigError(`clients.tokensFile line ${index + 1} ${problem}`);
    };
    const [identity = '', ...limits] = trimmed.split(/[ \t]+/);
    const [name = '', hex = '', ...more] = identity.split(':');
    if (!isTokenName(name) || !DIGEST.test(hex) || more.length > 0) refuse('is not name:sha256');
    // The limits that apply and the name in the log must not depend on the order of the lines.
    if (entries.has(name)) refuse('has the name of an earlier line');
    if (digests.has(hex)) refuse('has the token of an earlier line');
    if (hex === DIGEST_OF_NOTHING)
      refuse('has the digest of an empty token, as a failed command leaves it');
    digests.add(hex);
    const fields = parseFields(limits, refuse);
    const patterns = patternsOf(fields);
    entries.set(name, { name, key: hex, ...fields, patterns });
  }
  return new ClientTokens([...entries.values()]);
}

/**
 * Reads what follows a name, `key=value` each.
 * @param refuse throws, with a problem that goes behind the place of the limits
 */
export function parseFields(
  limits: readonly string[],
  refuse: (problem: string) => never,
): Omit<ClientToken, 'name'> {
  const found = splitFields(limits, refuse);
  const expires = found.get('expires');
  const purpose = found.get('for') ?? null;
  const routes = found.get('routes');
  const expiresAt = expires === undefined ? null : parseTime(expires);
  if (expires !== undefined && expiresAt === null) {
    refuse('has an expires that is not a time like 2027-01-31T00:00:00Z');
  }
  const paths = routes === undefined ? null : parsePatterns(routes);
  if (routes !== undefined && paths === null) {
    refuse('has routes that are not a list of paths like /backend-api/codex/*');
  }
  if (purpose !== null && !isPurpose(purpose)) {
    return refuse(`has a for that is not one of ${Object.keys(PURPOSES).join(', ')}`);
  }
  return { expiresAt, purpose, routes: paths, limits: parseLimits(found, refuse) };
}

function splitFields(
  limits: readonly string[],
  refuse: (problem: string) => never,
): Map<string, string> {
  const found = new Map<string, string>();
  for (const limit of limits) {
    const [key = '', ...value] = limit.split('=');
    if (!FIELDS.includes(key)) {
      refuse(`has a limit other than ${FIELDS.map((name) => `${name}=…`).join(', ')}`);
    }
    if (found.has(key)) refuse(`has two limits of ${key}`);
    found.set(key, value.join('='));
  }
  return found;
}

/** A time in UTC (RFC 3339) in milliseconds since 1970; null if malformed. */
export function parseTime(text: string): number | null {
  const time = TIME.test(text) ? Date.parse(text) : Number.NaN;
  // Date.parse turns a day that does not exist into the first of the next month.
  const exists = !Number.isNaN(time) && new Date(time).toISOString().startsWith(text.slice(0, 19));
  return exists ? time : null;
}

/** Comma-separated paths; null if malformed. */
export function parsePatterns(text: string): string[] | null {
  const patterns = text.split(',');
  return patterns.every((pattern) => PATH_PATTERN.test(pattern)) ? patterns : null;
}
