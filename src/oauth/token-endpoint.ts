import { monotonicClock } from '../base/clock.ts';
import { settlesWithin } from '../base/deadline.ts';
import { isObject, parseJsonObject } from '../base/json.ts';
import type { Secret } from '../base/secret.ts';
import {
  CallError,
  callFailureText,
  type HttpClient,
  type TextResponse,
  wasNeverSent,
} from '../upstream/http-client.ts';
import { type RefreshedTokens, readTokenResponse } from './token-response.ts';

/** Public client id of Codex; `CODEX_APP_SERVER_LOGIN_CLIENT_ID` replaces it. */
export const CODEX_CLIENT_ID = 'app_EMoamEEZ73f0CkXaXp7hrann';

/** The OAuth endpoints of a ChatGPT login. */
export interface OAuthEndpoints {
  tokenUrl: string;
  revokeUrl: string;
  clientId: string;
  http: HttpClient;
  /** How long a refresh is waited for; by default 30 s. */
  waitMs?: number;
}

/**
 * What is known about a failed refresh. `refused`: the backend refused it for now. `permanent`: this
 * refresh token will never work again. `unsent`: the request never left this machine. `unknown`: the
 * refresh may have been carried out, and then the refresh token is spent.
 */
export type RefreshErrorKind = 'refused' | 'permanent' | 'unsent' | 'unknown';

/**
 * Why a token is refreshed, in Codex's words (observed, 0.171.0): it ends soon, it was refused, or it
 * does not say when it ends and is old.
 */
export type RefreshReason = 'proactive_expiry' | 'unauthorized_recovery' | 'scheduled';

interface RefreshErrorDetails {
  cause?: unknown;
  /** The error code of the token endpoint. */
  code?: string | null;
  retryAfterMs?: number | null;
  late?: Promise<RefreshedTokens>;
  perhapsSpent?: boolean;
}

/** A refresh that gave no tokens. */
export class RefreshError extends Error {
  override readonly name = 'RefreshError';
  readonly kind: RefreshErrorKind;
  readonly code: string | null;
  /** How long the token endpoint asks to be left alone; null: it names no time. */
  readonly retryAfterMs: number | null;
  /** The exchange, where it goes on although nobody waits for it any more. Its tokens count. */
  readonly late: Promise<RefreshedTokens> | null;
  /** The refresh token was refused as another program's refresh with it would have left it. */
  readonly perhapsSpent: boolean;

  constructor(message: string, kind: RefreshErrorKind, details: RefreshErrorDetails = {}) {
    super(message, details.cause === undefined ? undefined : { cause: details.cause });
    this.kind = kind;
    this.code = details.code ?? null;
    this.retryAfterMs = details.retryAfterMs ?? null;
    this.late = details.late ?? null;
    this.perhapsSpent = details.perhapsSpent ?? false;
  }
}

/** How long a response is waited for, and how long no further try begins after the first. */
const WAIT_MS = 30_000;
/** How long a response of the token endpoint is read; until then it still counts. */
const READ_MS = 120_000;
/** Far more than tokens need: what is cut off here would be lost. */
const MAX_BYTES = 1024 * 1024;
const MAX_ATTEMPTS = 3;

const PERMANENT_CODES = new Set([
  'refresh_token_expired',
  'refresh_token_reused',
  'refresh_token_invalidated',
  'invalid_grant',
]);

/**
 * Trades a refresh token for new tokens (openai/codex `codex-rs/login`). The token is single use:
 * the caller holds the lock of the store and writes the response down before it uses it. A response
 * that takes longer than `waitMs` comes by `late` of the error.
 * @throws RefreshError
 */
export async function refreshTokens(
  endpoints: OAuthEndpoints,
  refreshToken: Secret,
  reason: RefreshReason = 'scheduled',
): Promise<RefreshedTokens> {
  const exchange = trade(endpoints, refreshToken, reason);
  if (await settlesWithin(exchange, endpoints.waitMs ?? WAIT_MS)) return exchange;
  const message = 'no response from the token endpoint yet';
  throw new RefreshError(message, 'unknown', { late: exchange });
}

async function trade(
  endpoints: OAuthEndpoints,
  refreshToken: Secret,
  reason: RefreshReason,
): Promise<RefreshedTokens> {
  const response = await postToken(endpoints, refreshToken, reason);
  if (response.status < 200 || response.status >= 300) throw refusal(response);
  const tokens = readTokenResponse(response.text);
  if (tokens) return tokens;
  throw new RefreshError('the response of the token endpoint holds no tokens', 'unknown');
}

/** Asks the backend to revoke a refresh token. Throws a plain error when the backend refuses. */
export async function revokeToken(endpoints: OAuthEndpoints, token: Secret): Promise<void> {
  const response = await endpoints.http({
    method: 'POST',
    url: endpoints.revokeUrl,
    timeoutMs: WAIT_MS,
    maxBytes: MAX_BYTES,
    body: {
      client_id: endpoints.clientId,
      token: token.reveal(),
      token_type_hint: 'refresh_token',
    },
  });
  if (response.status < 200 || response.status >= 300) {
    throw new Error(`the revocation endpoint answered ${response.status}`);
  }
}

async function postToken(
  endpoints: OAuthEndpoints,
  refreshToken: Secret,
  reason: RefreshReason,
): Promise<TextResponse> {
  const begunAt = monotonicClock();
  for (let attempt = 1; ; attempt++) {
    try {
      return await endpoints.http({
        method: 'POST',
        url: endpoints.tokenUrl,
        timeoutMs: READ_MS,
        maxBytes: MAX_BYTES,
        body: {
          client_id: endpoints.clientId,
          grant_type: 'refresh_token',
          refresh_reason: reason,
          refresh_token: refreshToken.reveal(),
        },
      });
    } catch (cause) {
      // Its status decides; what has come of a success may hold the tokens.
      if (cause instanceof CallError && cause.partial) return cause.partial;
      // What was sent may have been carried out, and a refresh token works only once.
      const unsent = wasNeverSent(cause);
      // Whoever stood still for long must look first whether somebody else has sent it meanwhile.
      const inTime = monotonicClock() - begunAt < (endpoints.waitMs ?? WAIT_MS);
      if (attempt < MAX_ATTEMPTS && unsent && inTime) continue;
      const kind = unsent ? 'unsent' : 'unknown';
      const message = `no response from the token endpoint: ${callFailureText(cause)}`;
      throw new RefreshError(message, kind, { cause });
    }
  }
}

function refusal(response: TextResponse): RefreshError {
  const { retryAfterMs } = response;
  const code = errorCode(response.text);
  const permanent = response.status === 401 || (code !== null && PERMANENT_CODES.has(code));
  const reason = code ?? `status ${response.status}`;
  if (code === null && isGatewayFailure(response.status)) {
    return new RefreshError(`the token endpoint answered ${response.status}`, 'unknown', {
      retryAfterMs,
    });
  }
  const kind = permanent ? 'permanent' : 'refused';
  return new RefreshError(`the token endpoint refused the refresh: ${reason}`, kind, {
    code,
    retryAfterMs,
    perhapsSpent: permanent && code !== 'refresh_token_expired',
  });
}

/** Comes from a gateway or after a crash: the refresh may have been carried out. */
function isGatewayFailure(status: number): boolean {
  return status >= 500 && status !== 503;
}

/** `error.code`, `error` as a string, or `code`; only in the form of an identifier. */
export function errorCode(text: string): string | null {
  const { error, code } = parseJsonObject(text) ?? {};
  const nested = isObject(error) ? error.code : error;
  const found = nested ?? code;
  return typeof found === 'string' && /^[a-z0-9_.-]{1,80}$/i.test(found) ? found : null;
}
