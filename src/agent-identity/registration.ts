import { type Clock, wholeSeconds } from '../base/clock.ts';
import { isSegmentId, isTaskId, NOT_SEGMENT_ID } from '../base/header-text.ts';
import { type JsonObject, parseJsonObject, textAt } from '../base/json.ts';
import { pauseAfter } from '../base/pause.ts';
import type { Secret } from '../base/secret.ts';
import { transportCode } from '../upstream/failure-text.ts';
import { CallError, type HttpClient, type TextResponse } from '../upstream/http-client.ts';
import { type AgentKey, signMessage } from './keys.ts';
import { openSealedTaskId } from './sealed-task-id.ts';

/** Where and how to register. `baseUrl` is AuthAPI, e.g. `https://auth.openai.com/api/accounts`. */
export interface AuthApi {
  baseUrl: string;
  http: HttpClient;
  now: Clock;
  /** Waits between two attempts; milliseconds. */
  sleep: (ms: number) => Promise<void>;
  /** Bounds of one attempt in milliseconds; Codex uses 15 s and 30 s. */
  agentTimeoutMs?: number;
  taskTimeoutMs?: number;
}

/** A registration that failed for good, or whose attempts are used up. */
export class RegistrationError extends Error {
  override readonly name = 'RegistrationError';
  /** Status of the last response; null when there was none. */
  readonly status: number | null;
  /** How long AuthAPI asks to be left alone; null: it names no time. */
  readonly retryAfterMs: number | null;

  constructor(
    message: string,
    status: number | null,
    cause?: unknown,
    retryAfterMs: number | null = null,
  ) {
    super(message, cause === undefined ? undefined : { cause });
    this.status = status;
    this.retryAfterMs = retryAfterMs;
  }
}

const MAX_ATTEMPTS = 3;
const MAX_RESPONSE_BYTES = 64 * 1024;
const ERROR_EXCERPT = 512;
/** Part of a token or a signature in any encoding; the words of prose are shorter. */
const LONG_RUN = /[A-Za-z0-9+/=_.%~-]{20,}/g;
const FIRST_DELAY_MS = 250;
/** How long a registration waits between its attempts at most. */
const LONGEST_DELAY_MS = 2_000;
/** No attempt takes longer than this, so a clock that moved further was set by the response. */
const CLOCK_JUMP_MS = 30_000;

/**
 * Registers the public key of a new agent for the account of `accessToken`
 * (`POST /v1/agent/register`, openai/codex pull request 18785; body observed from 0.169.0).
 * @returns the agent runtime id
 */
export async function registerAgent(
  api: AuthApi,
  agent: {
    key: AgentKey;
    accessToken: Secret;
    fedramp: boolean;
    version: string;
    platform: string;
  },
): Promise<string> {
  const response = await postWithRetries(api, 'agent registration', () => ({
    url: `${api.baseUrl}/v1/agent/register`,
    timeoutMs: api.agentTimeoutMs ?? 15_000,
    headers: {
      authorization: `Bearer ${agent.accessToken.reveal()}`,
      ...(agent.fedramp ? { 'x-openai-fedramp': 'true' } : {}),
    },
    body: {
      abom: {
        agent_version: agent.version,
        agent_harness_id: 'codex-cli',
        running_location: `sidecar-${agent.platform}`,
      },
      agent_public_key: agent.key.publicKeySsh,
      capabilities: ['responsesapi'],
      ttl: null,
    },
  }));
  const id = textAt(response.fields, 'agent_runtime_id');
  if (id === null) return fail(response, 'lacks agent_runtime_id');
  return isSegmentId(id) ? id : fail(response, `holds an agent_runtime_id that ${NOT_SEGMENT_ID}`);
}

/**
 * Registers the one run task of an agent (`POST /v1/agent/{id}/task/register`, openai/codex pull
 * request 19047). The same for a JWT identity and a registered one; exactly two body fields.
 * @returns the task id, opened if the backend sealed it
 */
export async function registerTask(
  api: AuthApi,
  agent: { agentRuntimeId: string; key: AgentKey },
): Promise<string> {
  const { agentRuntimeId, key } = agent;
  const response = await postWithRetries(api, 'task registration', () => {
    const timestamp = wholeSeconds(api.now());
    return {
      url: `${api.baseUrl}/v1/agent/${encodeURIComponent(agentRuntimeId)}/task/register`,
      timeoutMs: api.taskTimeoutMs ?? 30_000,
      headers: {},
      body: { timestamp, signature: signMessage(key, `${agentRuntimeId}:${timestamp}`) },
    };
  });
  const plain = textAt(response.fields, 'task_id') ?? textAt(response.fields, 'taskId');
  if (plain !== null) return checkedTaskId(response, plain);
  const sealed =
    textAt(response.fields, 'encrypted_task_id') ?? textAt(response.fields, 'encryptedTaskId');
  if (sealed === null) return fail(response, 'lacks task_id and encrypted_task_id');
  const opened = await openSealedTaskId(key, sealed).catch((cause: unknown) =>
    fail(response, `cannot be used: ${messageOf(cause)}`, cause),
  );
  return opened.trim() === ''
    ? fail(response, 'holds a blank task id')
    : checkedTaskId(response, opened);
}

function checkedTaskId(response: Registered, taskId: string): string {
  return isTaskId(taskId) ? taskId : fail(response, 'holds a task id that no assertion can carry');
}

/** The one predicate of what may be sent again: 429, 5xx, and attempts without a response. */
export function isRetryableRegistration(status: number | null): boolean {
  return status === null || status === 429 || status >= 500;
}

/** The JSON object in a successful response. */
interface Registered {
  what: string;
  status: number;
  fields: JsonObject;
}

interface Attempt {
  url: string;
  timeoutMs: number;
  headers: Record<string, string>;
  body: unknown;
}

async function postWithRetries(
  api: AuthApi,
  what: string,
  makeAttempt: () => Attempt,
): Promise<Registered> {
  for (let attempt = 1; ; attempt++) {
    const stampedAt = api.now();
    const outcome = await post(api, what, makeAttempt());
    if (!(outcome instanceof RegistrationError)) return parseResponse(what, outcome);
    // The response itself may have shown that the timestamp was wrong.
    const clockMoved = Math.abs(api.now() - stampedAt) > CLOCK_JUMP_MS;
    const retryable = isRetryableRegistration(outcome.status) || clockMoved;
    // The caller's pause is for longer waits.
    const isAskedToWait = (outcome.retryAfterMs ?? 0) > LONGEST_DELAY_MS;
    if (attempt === MAX_ATTEMPTS || !retryable || isAskedToWait) throw outcome;
    await api.sleep(pauseAfter(attempt, FIRST_DELAY_MS, outcome.retryAfterMs));
  }
}

async function post(
  api: AuthApi,
  what: string,
  attempt: Attempt,
): Promise<TextResponse | RegistrationError> {
  let response: TextResponse;
  try {
    response = await api.http({ method: 'POST', maxBytes: MAX_RESPONSE_BYTES, ...attempt });
  } catch (cause) {
    // A response that is too large did arrive: its status decides, and a 2xx is not repeated.
    const status =
      cause instanceof CallError && cause.isTooLarge ? (cause.partial?.status ?? null) : null;
    const problem = status === null ? 'no response from AuthAPI' : `AuthAPI answered ${status}`;
    return new RegistrationError(`${what}: ${problem}: ${messageOf(cause)}`, status, cause);
  }
  if (response.status >= 200 && response.status < 300) return response;
  const excerpt = withoutCredentials(response.text, attempt).slice(0, ERROR_EXCERPT);
  return new RegistrationError(
    `${what}: AuthAPI answered ${response.status}: ${excerpt}`,
    response.status,
    undefined,
    response.retryAfterMs,
  );
}

/** A gateway may quote the request in its error; the credential must not get any further. */
function withoutCredentials(text: string, { headers }: Attempt): string {
  const token = headers.authorization?.replace(/^Bearer /, '');
  const clean = token ? text.replaceAll(token, '[redacted]') : text;
  return clean
    .replaceAll(/\b(bearer|agentassertion)\s+[\w.~+/=-]{8,}/gi, '$1 [redacted]')
    .replaceAll(LONG_RUN, '[…]');
}

function parseResponse(what: string, response: TextResponse): Registered {
  const { status, text } = response;
  const fields = parseJsonObject(text);
  return fields
    ? { what, status, fields }
    : fail({ what, status, fields: {} }, 'is not a JSON object');
}

function fail(response: Registered, problem: string, cause?: unknown): never {
  throw new RegistrationError(
    `${response.what}: the response of AuthAPI ${problem}`,
    response.status,
    cause,
  );
}

/** Failed connections to several addresses come as one AggregateError without a message. */
function messageOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  return error.message || transportCode(error);
}
