import { SidecarError } from '../base/errors.ts';
import { RefreshError } from '../oauth/token-endpoint.ts';

/** How the last refresh failed, and what that means for the next one. */
export interface RefreshFailure {
  error: SidecarError;
  /** Milliseconds since the epoch; null: never again for this login. */
  retryAt: number | null;
  /** The refresh token may be spent. */
  unknown: boolean;
}

const PAUSE_MS = 10_000;
/** After a refresh that may have been carried out. */
const UNKNOWN_PAUSE_MS = 60_000;

export function describeFailure(cause: unknown, now: number): RefreshFailure {
  // What the file says costs no request to find out again, and may be mended there.
  if (cause instanceof SidecarError)
    return { error: cause, retryAt: now + PAUSE_MS, unknown: false };
  const outcome = cause instanceof RefreshError ? cause.outcome : null;
  const problem = cause instanceof Error ? cause.message : 'unknown failure';
  if (outcome === 'permanent') return { error: over(problem), retryAt: null, unknown: false };
  const unknown = outcome === 'unknown';
  const pauseMs = unknown ? UNKNOWN_PAUSE_MS : PAUSE_MS;
  const error = new SidecarError('AUTH_REFRESH_UNAVAILABLE', `no new tokens: ${problem}`, {
    cause,
    retryAfterSeconds: pauseMs / 1000,
  });
  return { error, retryAt: now + pauseMs, unknown };
}

/**
 * After a permanent failure there is no further try; a change of the file makes a new session. A
 * refresh token that may be spent is sent again only when there is nothing left to lose.
 * @param tokenIsOver the access token has expired or is refused
 * @throws SidecarError that of the failure, while it stands in the way of another try
 */
export function checkPause(
  failure: RefreshFailure | null,
  now: number,
  tokenIsOver: boolean,
): void {
  if (!failure) return;
  const pausing = failure.retryAt === null || failure.retryAt > now;
  if (pausing || (failure.unknown && !tokenIsOver)) throw failure.error;
}

export function over(problem: string): SidecarError {
  return new SidecarError('AUTH_REFRESH_FAILED', `${problem}; sign in again`);
}
