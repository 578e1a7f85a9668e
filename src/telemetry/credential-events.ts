/** What happens to the credential, for whoever counts it. */
export type CredentialEvent =
  /** From now on another credential is in use, or none at all. */
  | { type: 'changed' }
  | { type: 'assertionBuilt' }
  | { type: 'registration'; what: Registering; outcome: RegistrationOutcome }
  | { type: 'refresh'; outcome: RefreshOutcome }
  /** The upstream refused what a request carried; the kinds of `rejection.ts`. */
  | { type: 'rejection'; kind: 'task' | 'bearer' | 'revoked' };

type Registering = 'agent' | 'task' | 'instance';

/** `orphaned`: it was registered, but another process had registered first, and its record counts. */
type RegistrationOutcome = 'registered' | 'failed' | 'orphaned';

/**
 * `takenOver`: another process had refreshed already; `refused`: the login has ended; `failed`: it
 * will be tried again; `uncertain`: it may have been carried out, and the refresh token may be spent.
 */
export type RefreshOutcome = 'refreshed' | 'takenOver' | 'refused' | 'failed' | 'uncertain';

export type CredentialObserver = (event: CredentialEvent) => void;

/** Reports the outcome of a registration. */
export async function observeRegistration<T>(
  observe: CredentialObserver | undefined,
  what: Registering,
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
