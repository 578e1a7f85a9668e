import { AnnouncementRefused, type AttemptEnd, StoreUnavailable } from '../auth-store/store.ts';
import { SidecarError } from '../base/errors.ts';
import { RefreshError, type RefreshErrorKind } from '../oauth/token-endpoint.ts';

/** How the last refresh failed, and when the next one may start. */
export interface RefreshFailure {
  error: SidecarError;
  /** On the monotonic clock; null: never for this login. */
  retryAt: number | null;
  /** The refresh token may be spent. */
  unknown: boolean;
}

const PAUSE_MS = 10_000;
/** After a refresh that may have been carried out. */
const UNKNOWN_PAUSE_MS = 60_000;

/** The store is asked again so soon; that costs no request to the backend. */
const STORE_PAUSE_MS = 5_000;

/** What other processes are told of a failed refresh. */
export const ATTEMPT_END: Record<RefreshErrorKind, AttemptEnd> = {
  unsent: 'unsent',
  refused: 'refused',
  permanent: 'over',
  unknown: 'uncertain',
};

export function describeFailure(cause: unknown, monotonicNow: number): RefreshFailure {
  if (cause instanceof AnnouncementRefused) return describeRefusal(cause, monotonicNow);
  if (cause instanceof StoreUnavailable)
    return unavailable(cause.message, cause, STORE_PAUSE_MS, monotonicNow);
  // A problem in the file: reading it again costs no request, and someone may have repaired it.
  if (cause instanceof SidecarError)
    return { error: cause, retryAt: monotonicNow + PAUSE_MS, unknown: false };
  const kind = cause instanceof RefreshError ? cause.kind : null;
  const problem = cause instanceof Error ? cause.message : 'unknown failure';
  if (kind === 'permanent') return { error: signInAgain(problem), retryAt: null, unknown: false };
  const unknown = kind === 'unknown';
  const pauseMs = unknown ? UNKNOWN_PAUSE_MS : PAUSE_MS;
  return { ...unavailable(problem, cause, pauseMs, monotonicNow), unknown };
}

/** The attempt of another process forbids a request; to ask the store again costs none. */
function describeRefusal(refusal: AnnouncementRefused, monotonicNow: number): RefreshFailure {
  const { how, message, retryAfterMs } = refusal;
  if (how === 'over') return { error: signInAgain(message), retryAt: null, unknown: false };
  return unavailable(message, refusal, Math.min(retryAfterMs, PAUSE_MS), monotonicNow);
}

function unavailable(
  problem: string,
  cause: unknown,
  pauseMs: number,
  monotonicNow: number,
): RefreshFailure {
  const error = new SidecarError('AUTH_REFRESH_UNAVAILABLE', `no new tokens: ${problem}`, {
    cause,
    retryAfterSeconds: pauseMs / 1000,
  });
  return { error, retryAt: monotonicNow + pauseMs, unknown: false };
}

/**
 * After a permanent failure there is no further try; a changed file makes a new session. A refresh
 * token that may be spent is sent again only once the access token is of no use either.
 * @param tokenIsOver the access token has expired or was refused
 * @throws SidecarError the failure's, while it forbids another try
 */
export function checkPause(
  failure: RefreshFailure | null,
  monotonicNow: number,
  tokenIsOver: boolean,
): void {
  if (!failure) return;
  const pausing = failure.retryAt === null || failure.retryAt > monotonicNow;
  if (pausing || (failure.unknown && !tokenIsOver)) throw failure.error;
}

export function signInAgain(problem: string): SidecarError {
  return new SidecarError('AUTH_REFRESH_FAILED', `${problem}; sign in again`);
}
