import { INSTANCE_REVOKED } from '../agent-identity/instance-registration.ts';
import { RegistrationError } from '../agent-identity/registration-call.ts';
import { wholeSeconds } from '../base/clock.ts';
import { SidecarError } from '../base/errors.ts';
import { type PausedFailure, pausedFailure } from './paused-failure.ts';
import { saysDeleted } from './rejection.ts';

/** Why an identity could not be established, or its run task not be replaced. */
export interface IdentityFailure extends PausedFailure {
  /** The time of the next try in words for a person. */
  nextTry: string;
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
  const askedMs = askedFor(cause);
  const failure = pausedFailure(errorOf(cause), { monotonicNow, firstMs, askedMs, before });
  return { ...failure, nextTry: wholeSeconds(now + failure.pauseMs) };
}

function errorOf(cause: unknown): SidecarError {
  if (cause instanceof SidecarError) return cause;
  const message =
    cause instanceof RegistrationError ? cause.message : 'the identity is not available';
  return new SidecarError('AUTH_IDENTITY_UNAVAILABLE', message, { cause });
}

/** What the server that failed asked for. */
function askedFor(cause: unknown): number | null {
  if (cause instanceof RegistrationError) return cause.retryAfterMs;
  const seconds = cause instanceof SidecarError ? cause.retryAfterSeconds : null;
  return seconds === null ? null : seconds * 1000;
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
