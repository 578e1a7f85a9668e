import { AnnouncementRefused, type AttemptEnd, StoreUnavailable } from '../auth-store/store.ts';
import { SidecarError } from '../base/errors.ts';
import { pauseAfter } from '../base/pause.ts';
import { RefreshError, type RefreshErrorKind } from '../oauth/token-endpoint.ts';
import type { RefreshOutcome } from '../telemetry/credential-events.ts';
import { SpentElsewhere } from './spent-elsewhere.ts';

/** How the last refresh failed, and when the next one may start. */
export interface RefreshFailure {
  error: SidecarError;
  /** On the monotonic clock; null: never for this login. */
  retryAt: number | null;
  /** How many requests failed in a row; what the store or the file causes does not count. */
  count: number;
  /** The refresh token may be spent. */
  unknown: boolean;
}

const PAUSE_MS = 10_000;
/** After a refresh that may have been carried out. */
const UNKNOWN_PAUSE_MS = 60_000;

/** The file is read again so soon for the tokens of another program. */
const LOOK_PAUSE_MS = 1_000;

/** The store is asked again so soon; that costs no request to the backend. */
const STORE_PAUSE_MS = 5_000;

/** What other processes are told of a failed refresh. */
export const ATTEMPT_END: Record<RefreshErrorKind, AttemptEnd> = {
  unsent: 'unsent',
  refused: 'refused',
  permanent: 'over',
  unknown: 'uncertain',
};

/** @param before the failure before this one, with no success in between */
export function describeFailure(
  cause: unknown,
  monotonicNow: number,
  before: RefreshFailure | null,
): RefreshFailure {
  const paused = (error: SidecarError, pauseMs: number): RefreshFailure => {
    const retryAt = monotonicNow + pauseMs;
    return { error, retryAt, count: before?.count ?? 0, unknown: false };
  };
  const over = (problem: string): RefreshFailure => {
    return { ...paused(signInAgain(problem), 0), retryAt: null };
  };
  if (cause instanceof AnnouncementRefused) {
    // The attempt of another process forbids a request; to ask the store again costs none.
    if (cause.how === 'over') return over(cause.message);
    const pauseMs = Math.min(cause.retryAfterMs, PAUSE_MS);
    return paused(unavailable(cause.message, cause, pauseMs), pauseMs);
  }
  if (cause instanceof StoreUnavailable) {
    return paused(unavailable(cause.message, cause, STORE_PAUSE_MS), STORE_PAUSE_MS);
  }
  if (cause instanceof SpentElsewhere) {
    return paused(unavailable(cause.message, cause, LOOK_PAUSE_MS), LOOK_PAUSE_MS);
  }
  // A problem in the file: reading it again costs no request, and someone may have repaired it.
  if (cause instanceof SidecarError) return paused(cause, PAUSE_MS);
  const refresh = cause instanceof RefreshError ? cause : null;
  const problem = cause instanceof Error ? cause.message : 'unknown failure';
  if (refresh?.kind === 'permanent') return over(problem);
  const unknown = refresh?.kind === 'unknown';
  const count = (before?.count ?? 0) + 1;
  const firstMs = unknown ? UNKNOWN_PAUSE_MS : PAUSE_MS;
  const pauseMs = pauseAfter(count, firstMs, refresh?.retryAfterMs ?? null);
  return { ...paused(unavailable(problem, cause, pauseMs), pauseMs), count, unknown };
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
  const { error, retryAt, unknown } = failure;
  if (retryAt === null) throw error;
  const waitMs = retryAt - monotonicNow;
  if (waitMs <= 0) {
    if (unknown && !tokenIsOver) throw error;
    return;
  }
  if (error.retryAfterSeconds === null) throw error;
  const { code, message, cause } = error;
  throw new SidecarError(code, message, { cause, retryAfterSeconds: waitMs / 1000 });
}

/** @throws SidecarError when there were too many refreshes lately, however they ended */
export function checkRate(waitMs: number): void {
  if (waitMs > 0) throw unavailable('too many refreshes in ten minutes', undefined, waitMs);
}

function unavailable(problem: string, cause: unknown, pauseMs: number): SidecarError {
  const message = `no new tokens: ${problem}`;
  const retryAfterSeconds = pauseMs / 1000;
  return new SidecarError('AUTH_REFRESH_UNAVAILABLE', message, { cause, retryAfterSeconds });
}

export function signInAgain(problem: string): SidecarError {
  return new SidecarError('AUTH_REFRESH_FAILED', `${problem}; sign in again`);
}

/** What a failed refresh counts as. */
export function outcomeOf({ retryAt, unknown }: RefreshFailure): RefreshOutcome {
  if (retryAt === null) return 'refused';
  return unknown ? 'uncertain' : 'failed';
}
