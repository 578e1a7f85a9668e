import type { AuthMode } from '../auth-store/auth-document.ts';
import type { AssertionProvider } from './assertion-provider.ts';
import type { Account, BearerProvider } from './provider.ts';

/** Codex's `auth_mode`, and the one that `auth.json` never holds. */
export type CredentialMode = AuthMode | 'workloadIdentity';

/** The current credential: who it is, and a provider for each kind of header that it can make. */
export interface Credential {
  readonly mode: CredentialMode;
  readonly account: Account;
  readonly bearer: BearerProvider | null;
  readonly assertion: AssertionProvider | null;
  /** Where it comes from: the name of a variable, or `auth.json`. */
  readonly from: string;
  /** Digest of what its source holds, as far as is known; see `selection-digest.ts`. */
  digest(): string;
}
