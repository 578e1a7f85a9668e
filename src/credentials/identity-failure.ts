import { INSTANCE_REVOKED } from '../agent-identity/instance-registration.ts';
import { RegistrationError } from '../agent-identity/registration-call.ts';
import { wholeSeconds } from '../base/clock.ts';
import { SidecarError } from '../base/errors.ts';
import { pauseAfter } from '../base/pause.ts';
import { saysDeleted } from './rejection.ts';

/** Why an identity could not be established, or its run task not be replaced. */
export interface IdentityFailure {
  error: SidecarError;
  /** On the monotonic clock; no earlier try. */
  retryAt: number;
  /** The same in words for a person. */
  nextTry: string;
  /** How many there were in a row. */
  count: number;
}

/** Both times of the failure, and how long no other try is made. */
interface FailureTime {
  now: number;
  monotonicNow: number;
  /** After the first failure. */
  pauseMs: number;
  /** The failure before this one, with no success in between. */
  before: IdentityFailure | null;
}

export function identityFailure(
  cause: unknown,
  { now, monotonicNow, pauseMs: firstMs, before }: FailureTime,
): IdentityFailure {
  const count = (before?.count ?? 0) + 1;
  const pauseMs = pauseAfter(count, firstMs, askedMs(cause));
  const when = { retryAt: monotonicNow + pauseMs, nextTry: wholeSeconds(now + pauseMs), count };
  if (cause instanceof SidecarError) return { error: cause, ...when };
  const message =
    cause instanceof RegistrationError ? cause.message : 'the identity is not available';
  return { error: new SidecarError('AUTH_IDENTITY_UNAVAILABLE', message, { cause }), ...when };
}

/** What the server that failed asked for. */
function askedMs(cause: unknown): number | null {
  if (cause instanceof RegistrationError) return cause.retryAfterMs;
  const seconds = cause instanceof SidecarError ? cause.retryAfterSeconds : null;
  return seconds === null ? null : seconds * 1000;
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

/** Whether a registration was refused because the identity has ended for good. */
export function isRevocation(error: unknown): boolean {
  if (!(error instanceof RegistrationError)) return false;
  // Registering a task for a deleted agent fails with the message of an inference request.
  return error.code === INSTANCE_REVOKED || (error.status === 403 && saysDeleted(error.message));
}
