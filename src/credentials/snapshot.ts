import type { SidecarError } from '../base/errors.ts';
import type { Credential, CredentialMode } from './credential.ts';
import { NO_FACTS } from './identity-source.ts';
import type { Account, BearerStatus, IdentityStatus } from './provider.ts';

/** What status and health show of the credential; holds no secret. */
export interface CredentialSnapshot {
  /** Place that the credential comes from; null without one. */
  from: string | null;
  /** `starting` until the first load has ended. */
  state: 'starting' | 'ready' | 'waiting' | 'degraded' | 'unauthenticated' | 'failed';
  mode: CredentialMode | null;
  account: Account | null;
  identity: IdentityStatus;
  bearer: BearerStatus;
  /** New tokens could not be written to the store yet. */
  unwritten: boolean;
  /** Why there is no usable credential. */
  error: SidecarError | null;
}

const NO_BEARER: BearerStatus = {
  state: 'none',
  expiresAt: null,
  lastRefreshAt: null,
  lastError: null,
};
const NO_IDENTITY: IdentityStatus = {
  state: 'off',
  form: null,
  headers: null,
  source: null,
  ...NO_FACTS,
  lastRejection: null,
  lastError: null,
};

/**
 * Pure.
 * @param failure why the stored credential is not in use
 * @param unwritten whether new tokens are in memory only
 * @param mayDegrade whether the bearer replaces an identity that is not available
 */
export function describeCredential(
  credential: Credential | null,
  failure: SidecarError | null,
  mayDegrade: boolean,
  unwritten: boolean,
): CredentialSnapshot {
  return {
    from: credential?.from ?? null,
    state: credential ? stateOf(credential, failure, mayDegrade) : stateWithout(failure),
    mode: credential?.mode ?? null,
    account: credential?.account ?? null,
    identity: credential?.assertion?.status() ?? NO_IDENTITY,
    bearer: credential?.bearer?.status() ?? NO_BEARER,
    unwritten,
    error: failure,
  };
}

function stateWithout(failure: SidecarError | null): CredentialSnapshot['state'] {
  if (!failure) return 'starting';
  // It is tried again until the store can be reached.
  if (failure.code === 'AUTH_STORE_UNAVAILABLE') return 'starting';
  return failure.code === 'AUTH_NOT_CONFIGURED' ? 'unauthenticated' : 'failed';
}

function stateOf(
  { bearer, assertion }: Credential,
  failure: SidecarError | null,
  mayDegrade: boolean,
): CredentialSnapshot['state'] {
  if (bearer && !bearer.isReady()) {
    if (assertion?.isReady()) return 'degraded';
    return bearer.status().state === 'refreshing' ? 'waiting' : 'failed';
  }
  if (!assertion || assertion.isReady()) {
    const troubled =
      failure !== null ||
      bearer?.status().lastError != null ||
      assertion?.status().state === 'rejected';
    return troubled ? 'degraded' : 'ready';
  }
  if (bearer && mayDegrade && assertion.isUnavailable()) return 'degraded';
  return assertion.status().state === 'registering' ? 'waiting' : 'failed';
}
