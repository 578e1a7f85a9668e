import { RegistrationError } from '../agent-identity/registration.ts';
import { wholeSeconds } from '../base/clock.ts';
import { SidecarError } from '../base/errors.ts';
import { saysDeleted } from './rejection.ts';

/** Why an identity could not be established, or its run task not be replaced. */
export interface IdentityFailure {
  error: SidecarError;
  /** Milliseconds since the epoch; no earlier try. */
  retryAt: number;
}

/** @param retryAt milliseconds since the epoch */
export function identityFailure(cause: unknown, retryAt: number): IdentityFailure {
  if (cause instanceof SidecarError) return { error: cause, retryAt };
  const message =
    cause instanceof RegistrationError ? cause.message : 'the identity is not available';
  return { error: new SidecarError('AUTH_IDENTITY_UNAVAILABLE', message, { cause }), retryAt };
}

/** The error for requests until the next try, with the seconds until then; null once it is due. */
export function pausedError(failure: IdentityFailure | null, now: number): SidecarError | null {
  if (!failure) return null;
  const { error, retryAt } = failure;
  const waitMs = retryAt - now;
  if (waitMs <= 0) return null;
  const retryAfter = error.statusCode === 503 ? { retryAfterSeconds: waitMs / 1000 } : {};
  return new SidecarError(error.code, error.message, { cause: error.cause, ...retryAfter });
}

export function describeIdentityFailure({ error, retryAt }: IdentityFailure): string {
  return `${error.message} (next try ${wholeSeconds(retryAt)})`;
}

/** Registering a task for a deleted agent fails with the message of an inference request. */
export function isDeletion(error: unknown): boolean {
  return error instanceof RegistrationError && error.status === 403 && saysDeleted(error.message);
}
