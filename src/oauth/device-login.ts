import type { Clock, MonotonicClock } from '../base/clock.ts';
import { isObject, parseJsonObject, textAt } from '../base/json.ts';
import type { Secret } from '../base/secret.ts';
import { CallError, type HttpClient, type TextResponse } from '../upstream/http-client.ts';
import { readTokenResponse } from './token-response.ts';

/** Why nobody was signed in. The message is for the user and holds no secret. */
export class DeviceLoginError extends Error {
  override readonly name = 'DeviceLoginError';
}

export interface DeviceLoginClient {
  /** For instance `https://auth.openai.com`; without a slash at its end. */
  issuer: string;
  tokenUrl: string;
  clientId: string;
  http: HttpClient;
  now: Clock;
  monotonicNow: MonotonicClock;
  /** Rejects when the signal aborts. */
  sleep: (ms: number, signal: AbortSignal) => Promise<unknown>;
}

/** A code that a person types into the page at `verificationUrl`. */
export interface DeviceCode {
  verificationUrl: string;
  userCode: string;
  deviceAuthId: string;
  intervalMs: number;
  /** When the code ends, on the monotonic clock. */
  deadline: number;
}

export interface DeviceTokens {
  idToken: Secret;
  accessToken: Secret;
  refreshToken: Secret;
}

const LONGEST_MS = 15 * 60_000;
const DEFAULT_INTERVAL_MS = 5_000;
const MIN_INTERVAL_MS = 1_000;
const MAX_INTERVAL_MS = 60_000;
const CALL_MS = 30_000;
const MAX_BYTES = 256 * 1024;
const PENDING = 'deviceauth_authorization_pending';
/** It is shown on a terminal and on a page, and typed by a person. */
const USER_CODE = /^[A-Za-z0-9-]{4,32}$/;

/**
 * Asks for a device code. This is OpenAI's own protocol and not RFC 8628 (observed, Codex 0.171.0).
 * @throws DeviceLoginError
 */
export async function requestDeviceCode(
  client: DeviceLoginClient,
  signal: AbortSignal,
): Promise<DeviceCode> {
  const { issuer, clientId } = client;
  const asked = client.monotonicNow();
  const response = await post(client, 'usercode', { client_id: clientId }, signal).catch(
    (cause: unknown) => {
      signal.throwIfAborted();
      const reason = cause instanceof CallError ? cause.code : 'unknown failure';
      throw new DeviceLoginError(`${issuer} cannot be reached (${reason})`, { cause });
    },
  );
  if (response.status !== 200) throw new DeviceLoginError(codeRefusal(issuer, response));
  const fields = parseJsonObject(response.text) ?? {};
  const deviceAuthId = textAt(fields, 'device_auth_id');
  const userCode = textAt(fields, 'user_code') ?? textAt(fields, 'usercode');
  if (deviceAuthId === null || userCode === null || !USER_CODE.test(userCode)) {
    throw new DeviceLoginError(`${issuer} sent no usable code`);
  }
  return {
    verificationUrl: `${issuer}/codex/device`,
    userCode,
    deviceAuthId,
    intervalMs: intervalOf(fields.interval),
    deadline: asked + lifetimeOf(fields.expires_at, dateOf(response) ?? client.now()),
  };
}

/**
 * Waits until the person has signed in, and fetches the tokens. A server or network that is away for
 * a while does not end it.
 * @throws DeviceLoginError; the reason of `signal` when it aborts
 */
export async function awaitDeviceTokens(
  client: DeviceLoginClient,
  code: DeviceCode,
  signal: AbortSignal,
): Promise<DeviceTokens> {
  const body = { device_auth_id: code.deviceAuthId, user_code: code.userCode };
  for (;;) {
    const response = await post(client, 'token', body, signal).catch(() => null);
    signal.throwIfAborted();
    if (response?.status === 200) return redeem(client, response, signal);
    const pauseMs = pauseAfter(response, code.intervalMs);
    const left = code.deadline - client.monotonicNow();
    if (left <= 0) throw expired();
    await client.sleep(Math.min(pauseMs, left), signal);
    if (client.monotonicNow() >= code.deadline) throw expired();
  }
}

/** @throws DeviceLoginError when asking again makes no sense */
function pauseAfter(response: TextResponse | null, intervalMs: number): number {
  if (response === null) return intervalMs;
  const { status } = response;
  if (status === 429 || status >= 500) return Math.max(intervalMs, response.retryAfterMs ?? 0);
  const { code, message } = errorOf(response);
  if (status !== 403 && status !== 404) {
    throw new DeviceLoginError(`the sign-in failed: ${code ?? `status ${status}`}`);
  }
  // What says nothing else is pending.
  const said = `${code ?? ''} ${message ?? ''}`.trim();
  if (code === PENDING || said === '' || (code === null && /pending/i.test(said)))
    return intervalMs;
  if (/expired/i.test(said)) throw expired();
  if (/denied|declined|rejected/i.test(said)) {
    throw new DeviceLoginError('the sign-in was denied on the page');
  }
  if (/unknown|not.?found/i.test(said)) {
    throw new DeviceLoginError('the code is unknown to the server; start the sign-in again');
  }
  throw new DeviceLoginError(`the sign-in was refused: ${code ?? message ?? `status ${status}`}`);
}

async function redeem(
  client: DeviceLoginClient,
  response: TextResponse,
  signal: AbortSignal,
): Promise<DeviceTokens> {
  const fields = parseJsonObject(response.text) ?? {};
  const code = textAt(fields, 'authorization_code');
  const verifier = textAt(fields, 'code_verifier');
  if (code === null || verifier === null) {
    throw new DeviceLoginError('the server sent no authorization code');
  }
  const form = new URLSearchParams({
    grant_type: 'authorization_code',
    client_id: client.clientId,
    code,
    redirect_uri: `${client.issuer}/deviceauth/callback`,
    code_verifier: verifier,
  });
  const answer = await send(client, client.tokenUrl, form, signal).catch((cause: unknown) => {
    signal.throwIfAborted();
    throw new DeviceLoginError('no response from the token endpoint; sign in again', { cause });
  });
  if (answer.status !== 200) {
    const reason = errorOf(answer).code ?? `status ${answer.status}`;
    throw new DeviceLoginError(`the token endpoint refused the sign-in: ${reason}`);
  }
  const { idToken, accessToken, refreshToken } = readTokenResponse(answer.text) ?? {};
  if (!idToken || !accessToken || !refreshToken) {
    throw new DeviceLoginError('the token endpoint sent no complete login');
  }
  return { idToken, accessToken, refreshToken };
}

function post(client: DeviceLoginClient, name: string, body: object, signal: AbortSignal) {
  return send(client, `${client.issuer}/api/accounts/deviceauth/${name}`, body, signal);
}

/** Rejects at once when the signal aborts; the exchange itself ends with its connection. */
function send({ http }: DeviceLoginClient, url: string, body: object, signal: AbortSignal) {
  return new Promise<TextResponse>((resolve, reject) => {
    const abort = () => reject(signal.reason);
    if (signal.aborted) return abort();
    signal.addEventListener('abort', abort, { once: true });
    http({ method: 'POST', url, body, timeoutMs: CALL_MS, maxBytes: MAX_BYTES })
      .then(resolve, reject)
      .finally(() => signal.removeEventListener('abort', abort));
  });
}

function codeRefusal(issuer: string, response: TextResponse): string {
  const { status } = response;
  if (status === 404) {
    return `sign-in with a device code is not enabled at ${issuer}; allow it in the security settings of ChatGPT, or use another way of login`;
  }
  if (status === 429) {
    const waitMs = response.retryAfterMs;
    const when = waitMs === null ? 'later' : `in ${Math.ceil(waitMs / 1000)} seconds`;
    return `too many sign-ins were begun; try again ${when}`;
  }
  return `${issuer} gave no code: ${errorOf(response).code ?? `status ${status}`}`;
}

function expired(): DeviceLoginError {
  return new DeviceLoginError('the code has expired; start the sign-in again');
}

/** A string of seconds (observed); a number is taken as well. */
function intervalOf(value: unknown): number {
  const seconds = typeof value === 'string' ? Number(value.trim() || Number.NaN) : value;
  if (typeof seconds !== 'number' || !Number.isFinite(seconds)) return DEFAULT_INTERVAL_MS;
  return Math.min(MAX_INTERVAL_MS, Math.max(MIN_INTERVAL_MS, seconds * 1000));
}

/** @param nowMs by the clock of the server, if it told the time */
function lifetimeOf(expiresAt: unknown, nowMs: number): number {
  const left = typeof expiresAt === 'string' ? Date.parse(expiresAt) - nowMs : Number.NaN;
  return left > 0 ? Math.min(left, LONGEST_MS) : LONGEST_MS;
}

function dateOf({ headers }: TextResponse): number | null {
  const date = typeof headers.date === 'string' ? Date.parse(headers.date) : Number.NaN;
  return Number.isNaN(date) ? null : date;
}

function errorOf({ text }: TextResponse): { code: string | null; message: string | null } {
  const { error, code, message } = parseJsonObject(text) ?? {};
  const inner = isObject(error) ? error : { code: error ?? code, message };
  const named = textAt(inner, 'code');
  return {
    code: named !== null && /^[a-z0-9_.-]{1,80}$/i.test(named) ? named : null,
    message: textAt(inner, 'message')?.slice(0, 200) ?? null,
  };
}
