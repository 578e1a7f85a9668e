import { onOneLine } from './printable.ts';

/**
 * Every error that the sidecar itself responds with, and its HTTP status. The statuses follow what
 * the Codex CLI does with them (measured, 0.169.0): 400 is shown to the user after one attempt, 503
 * is retried, 500 hides the message; 401 is reserved for a wrong client token. `docs/errors.md` lists
 * the same codes; a test compares the two.
 */
export const ERROR_STATUS = {
  AUTH_NOT_CONFIGURED: 400,
  AUTH_CREDENTIAL_INVALID: 400,
  AUTH_IDENTITY_REVOKED: 400,
  AUTH_REFRESH_FAILED: 400,
  AUTH_REFRESH_UNAVAILABLE: 503,
  AUTH_IDENTITY_UNAVAILABLE: 503,
  AUTH_STORE_UNAVAILABLE: 503,
  AUTH_NO_BEARER: 403,
  AUTH_ROUTE_DENIED: 403,
  AUTH_PATH_INVALID: 400,
  AUTH_REQUEST_INVALID: 400,
  AUTH_CLIENT_TOKEN: 401,
  AUTH_CLIENT_LIMIT: 429,
  AUTH_MODEL_DENIED: 400,
  AUTH_HTTP_ONLY: 426,
  AUTH_HOST_NOT_ALLOWED: 403,
  AUTH_ORIGIN_NOT_ALLOWED: 403,
  AUTH_BODY_TOO_LARGE: 413,
  AUTH_DRAINING: 503,
  AUTH_EVENTS_BUSY: 503,
  UPSTREAM_UNREACHABLE: 502,
  UPSTREAM_TLS: 502,
  UPSTREAM_TIMEOUT: 504,
  UPSTREAM_BUSY: 503,
  SIDECAR_CONFIG_INVALID: 400,
  SIDECAR_INTERNAL: 503,
} as const;

export type ErrorCode = keyof typeof ERROR_STATUS;

interface SidecarErrorOptions {
  cause?: unknown;
  /** Seconds after which another attempt makes sense; becomes the `retry-after` header. */
  retryAfterSeconds?: number;
  /**
   * Has Codex end the turn at once and show the message (measured, 0.142.3 to 0.171.0: type
   * `usage_limit_reached`, `x-codex-promo-message`). After any other 429 newer ones wait for
   * `retry-after`, five times, and never show what it said.
   */
  usageLimit?: UsageLimit;
}

interface UsageLimit {
  /** Seconds since 1970, which Codex shows as a time of day; null: nobody knows. */
  resetsAt: number | null;
}

/**
 * An error with a stable code. Its message is written for the user, holds no secret, and is safe to
 * print, even where it quotes a server.
 */
export class SidecarError extends Error {
  override readonly name = 'SidecarError';
  readonly code: ErrorCode;
  readonly retryAfterSeconds: number | null;
  readonly usageLimit: UsageLimit | null;

  constructor(code: ErrorCode, message: string, options: SidecarErrorOptions = {}) {
    super(onOneLine(message), 'cause' in options ? { cause: options.cause } : undefined);
    this.code = code;
    this.retryAfterSeconds = options.retryAfterSeconds ?? null;
    this.usageLimit = options.usageLimit ?? null;
  }

  get statusCode(): number {
    return ERROR_STATUS[this.code];
  }

  /** Response headers that go with {@link errorBody}. */
  get headers(): Record<string, string> {
    const headers: Record<string, string> = { 'x-sidecar-error': this.code };
    if (this.retryAfterSeconds !== null) {
      headers['retry-after'] = String(Math.max(1, Math.ceil(this.retryAfterSeconds)));
    }
    if (this.usageLimit) headers['x-codex-promo-message'] = this.message;
    // Whoever asks for an upgrade has to be told what to use (RFC 9110, section 15.5.22).
    if (this.statusCode === 426) headers.upgrade = 'HTTP/1.1';
    return headers;
  }
}

interface ErrorBody {
  error: {
    message: string;
    type: 'sidecar_error' | 'usage_limit_reached';
    code: ErrorCode;
    resets_at?: number;
  };
}

/** The JSON body of a local error, in the shape that Codex reads `error.message` from. */
export function errorBody({ message, code, usageLimit }: SidecarError): ErrorBody {
  if (!usageLimit) return { error: { message, type: 'sidecar_error', code } };
  const { resetsAt } = usageLimit;
  const resets = resetsAt === null ? {} : { resets_at: resetsAt };
  return { error: { message, type: 'usage_limit_reached', code, ...resets } };
}

/** A credential that cannot be used; `field` names the place. The value is never shown. */
export function invalidCredential(field: string, problem: string, cause?: unknown): SidecarError {
  return new SidecarError(
    'AUTH_CREDENTIAL_INVALID',
    `${field}: ${problem}`,
    cause === undefined ? {} : { cause },
  );
}

/** A wrong value somewhere in the configuration; commands exit with code 2. */
export class ConfigError extends Error {
  override readonly name = 'ConfigError';
}

/** The system's code of a failed call, such as `ENOENT`, for a message or a comparison. */
export function errnoOf(error: unknown): string {
  const code = (error as { code?: unknown } | null | undefined)?.code;
  return typeof code === 'string' ? code : 'unknown error';
}

/** Whether this process, or the machine, has too many files and connections open for one more. */
export function isOutOfDescriptors(error: unknown): boolean {
  if (error instanceof AggregateError) return error.errors.some(isOutOfDescriptors);
  const code = errnoOf(error);
  if (code === 'EMFILE' || code === 'ENFILE') return true;
  return error instanceof Error && error.cause !== undefined && isOutOfDescriptors(error.cause);
}
