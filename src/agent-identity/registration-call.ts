import type { Clock } from '../base/clock.ts';
import { isObject, type JsonObject, parseJsonObject, textAt } from '../base/json.ts';
import { pauseAfter } from '../base/pause.ts';
import type { Secret } from '../base/secret.ts';
import { transportCode } from '../upstream/failure-text.ts';
import { CallError, type HttpClient, type TextResponse } from '../upstream/http-client.ts';

/** What every registration needs. */
export interface RegistrationDeps {
  http: HttpClient;
  /** Time as the backend sees it. */
  now: Clock;
  /** Waits between two attempts; milliseconds. */
  sleep: (ms: number) => Promise<void>;
}

/** A registration that failed for good, or whose attempts are used up. */
export class RegistrationError extends Error {
  override readonly name = 'RegistrationError';
  /** Status of the last response; null when there was none. */
  readonly status: number | null;
  /** `error.code` of that response; null when it names none. */
  readonly code: string | null;
  /** How long the server asks to be left alone; null: it names no time. */
  readonly retryAfterMs: number | null;

  constructor(
    message: string,
    status: number | null,
    details: { cause?: unknown; code?: string | null; retryAfterMs?: number | null } = {},
  ) {
    super(message, details.cause === undefined ? undefined : { cause: details.cause });
    this.status = status;
    this.code = details.code ?? null;
    this.retryAfterMs = details.retryAfterMs ?? null;
  }
}

/** What is registered where, in words for messages. */
export interface RegistrationCall {
  what: string;
  server: string;
  isSuccess: (status: number) => boolean;
}

/** One request of a registration. */
export interface RegistrationAttempt {
  url: string;
  timeoutMs: number;
  headers: Record<string, string>;
  body: unknown;
  /** The credential that it carries; no message shows it. */
  secret: Secret | null;
}

/** The JSON object in a successful response. */
export interface Registered {
  call: RegistrationCall;
  status: number;
  fields: JsonObject;
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

/** The one predicate of what may be sent again: 429, 5xx, and attempts without a response. */
export function isRetryableRegistration(status: number | null): boolean {
  return status === null || status === 429 || status >= 500;
}

/**
 * Sends a registration, three times at most.
 * @throws RegistrationError
 */
export async function postWithRetries(
  deps: RegistrationDeps,
  call: RegistrationCall,
  makeAttempt: () => RegistrationAttempt,
): Promise<Registered> {
  for (let attempt = 1; ; attempt++) {
    const stampedAt = deps.now();
    const outcome = await post(deps, call, makeAttempt());
    if (!(outcome instanceof RegistrationError)) return parseResponse(call, outcome);
    // The response itself may have shown that the timestamp was wrong.
    const clockMoved = Math.abs(deps.now() - stampedAt) > CLOCK_JUMP_MS;
    const retryable = isRetryableRegistration(outcome.status) || clockMoved;
    // The caller's pause is for longer waits.
    const isAskedToWait = (outcome.retryAfterMs ?? 0) > LONGEST_DELAY_MS;
    if (attempt === MAX_ATTEMPTS || !retryable || isAskedToWait) throw outcome;
    await deps.sleep(pauseAfter(attempt, FIRST_DELAY_MS, outcome.retryAfterMs));
  }
}

/** @throws RegistrationError which says what is wrong with a successful response */
export function unusable(response: Registered, problem: string, cause?: unknown): never {
  const { call, status } = response;
  throw new RegistrationError(
    `${call.what}: the response of ${call.server} ${problem}`,
    status,
    cause === undefined ? {} : { cause },
  );
}

/** Failed connections to several addresses come as one AggregateError without a message. */
export function messageOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  return error.message || transportCode(error);
}

async function post(
  { http }: RegistrationDeps,
  { what, server, isSuccess }: RegistrationCall,
  { secret, ...request }: RegistrationAttempt,
): Promise<TextResponse | RegistrationError> {
  let response: TextResponse;
  try {
    response = await http({ method: 'POST', maxBytes: MAX_RESPONSE_BYTES, ...request });
  } catch (cause) {
    // A response that is too large did arrive: its status decides, and a 2xx is not repeated.
    const status =
      cause instanceof CallError && cause.isTooLarge ? (cause.partial?.status ?? null) : null;
    const problem = status === null ? `no response from ${server}` : `${server} answered ${status}`;
    return new RegistrationError(`${what}: ${problem}: ${messageOf(cause)}`, status, { cause });
  }
  const { status, text, retryAfterMs } = response;
  if (isSuccess(status)) return response;
  const excerpt = withoutCredentials(text, secret).slice(0, ERROR_EXCERPT);
  const code = errorCode(text);
  const message = `${what}: ${server} answered ${status}: ${excerpt}`;
  return new RegistrationError(message, status, { code, retryAfterMs });
}

/** A gateway may quote the request in its error; the credential must not get any further. */
function withoutCredentials(text: string, secret: Secret | null): string {
  const clean = secret ? text.replaceAll(secret.reveal(), '[redacted]') : text;
  return clean
    .replaceAll(/\b(bearer|agentassertion)\s+[\w.~+/=-]{8,}/gi, '$1 [redacted]')
    .replaceAll(LONG_RUN, '[…]');
}

function errorCode(text: string): string | null {
  const error = parseJsonObject(text)?.error;
  return isObject(error) ? textAt(error, 'code') : null;
}

function parseResponse(call: RegistrationCall, { status, text }: TextResponse): Registered {
  const fields = parseJsonObject(text);
  return fields
    ? { call, status, fields }
    : unusable({ call, status, fields: {} }, 'is not a JSON object');
}
