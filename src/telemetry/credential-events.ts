/** What happens to the credential, for those who count. */
export type CredentialEvent =
  /** Another credential is in use from now on, or none. */
  | { type: 'changed' }
  | { type: 'assertionBuilt' }
  | { type: 'registration'; what: 'agent' | 'task'; outcome: 'registered' | 'failed' }
  | { type: 'refresh'; outcome: RefreshOutcome }
  /** The upstream refused what a request carried; the kinds of `rejection.ts`. */
  | { type: 'rejection'; kind: 'task' | 'bearer' | 'revoked' };

/**
 * `takenOver`: another process had refreshed already; `refused`: the login is over; `failed`: there
 * will be another try.
 */
export type RefreshOutcome = 'refreshed' | 'takenOver' | 'refused' | 'failed';

export type CredentialObserver = (event: CredentialEvent) => void;

/** Tells of a registration, whatever comes of it. */
export async function observeRegistration<T>(
  observe: CredentialObserver | undefined,
  what: 'agent' | 'task',
  work: Promise<T>,
): Promise<T> {
  try {
    const registered = await work;
    observe?.({ type: 'registration', what, outcome: 'registered' });
    return registered;
  } catch (error) {
    observe?.({ type: 'registration', what, outcome: 'failed' });
    throw error;
  }
}
