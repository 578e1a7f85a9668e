import { RegistrationError } from '../agent-identity/registration.ts';
import { wholeSeconds } from '../base/clock.ts';
import { SidecarError } from '../base/errors.ts';
import { saysDeleted } from './rejection.ts';

/** Why an identity could not be established, or its run task not be replaced. */
export interface IdentityFailure {
  error: SidecarError;
  /** On the monotonic clock; no earlier try. */
  retryAt: number;
  /** The same in words for a person. */
  nextTry: string;
}

/** Both times of the failure, and how long no other try is made. */
interface FailureTime {
  now: number;
  monotonicNow: number;
  pauseMs: number;
}

export function identityFailure(
  cause: unknown,
  { now, monotonicNow, pauseMs }: FailureTime,
): IdentityFailure {
  const when = { retryAt: monotonicNow + pauseMs, nextTry: wholeSeconds(now + pauseMs) };
  if (cause instanceof SidecarError) return { error: cause, ...when };
  const message =
    cause instanceof RegistrationError ? cause.message : 'the identity is not available';
  return { error: new SidecarError('AUTH_IDENTITY_UNAVAILABLE', message, { cause }), ...when };
}

/** The error for requests until the next try, with the seconds until then; null once it is due.
 * @param monotonicNow the time now */
export function pausedError(
  failure: IdentityFailure | null,
  monotonicNow: number,
): SidecarError | null {
  if (!failure) return null;
  const { error, retryAt } = failure;
  const waitMs = retryAt - monotonicNow;
  if (waitMs <= 0) return null;
  const retryAfter = error.statusCode === 503 ? { retryAfterSeconds: waitMs / 1000 } : {};
  return new SidecarError(error.code, error.message, { cause: error.cause, ...retryAfter });
}

export function describeIdentityFailure({ error, nextTry }: IdentityFailure): string {
  return `${error.message} (next try ${nextTry})`;
}

/** Registering a task for a deleted agent fails with the message of an inference request. */
export function isDeletion(error: unknown): boolean {
  return error instanceof RegistrationError && error.status === 403 && saysDeleted(error.message);
}
