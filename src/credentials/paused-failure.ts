import { SidecarError } from '../base/errors.ts';
import { pauseAfter } from '../base/pause.ts';

/** A failure after which no other try is made for a while. */
export interface PausedFailure {
  error: SidecarError;
  /** How long that is, in milliseconds, and when it ends, on the monotonic clock. */
  pauseMs: number;
  retryAt: number;
  /** How many there were in a row. */
  count: number;
}

interface FailureTime {
  monotonicNow: number;
  /** Pause after the first failure; milliseconds. */
  firstMs: number;
  /** What the server that failed asked for. */
  askedMs: number | null;
  /** The failure before this one, with no success in between. */
  before: PausedFailure | null;
}

export function pausedFailure(
  error: SidecarError,
  { monotonicNow, firstMs, askedMs, before }: FailureTime,
): PausedFailure {
  const count = (before?.count ?? 0) + 1;
  const pauseMs = pauseAfter(count, firstMs, askedMs);
  return { error, pauseMs, retryAt: monotonicNow + pauseMs, count };
}

/**
 * The error for requests until the next try; null once it is due. Where it helps to wait, it says for
 * how long.
 * @param monotonicNow the time now
 */
export function pausedError(
  failure: PausedFailure | null,
  monotonicNow: number,
): SidecarError | null {
  if (!failure) return null;
  const { error, retryAt } = failure;
  const waitMs = retryAt - monotonicNow;
  if (waitMs <= 0) return null;
  if (error.statusCode !== 503) return error;
  const retryAfterSeconds = waitMs / 1000;
  return new SidecarError(error.code, error.message, { cause: error.cause, retryAfterSeconds });
}
