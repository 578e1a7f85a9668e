import { Secret } from '../base/secret.ts';
import type { AuthHeaders, BearerProvider, BearerStatus } from './provider.ts';

/** A bearer that never changes and cannot be refreshed, such as an API key. */
export class StaticBearer implements BearerProvider {
  readonly #headers: AuthHeaders;
  #lastError: string | null = null;

  constructor(token: Secret, accountId: string | null, fedramp: boolean) {
    this.#headers = bearerHeaders(token, accountId, fedramp);
  }

  headers(): AuthHeaders {
    return this.#headers;
  }

  isReady(): boolean {
    return true;
  }

  async prepare(): Promise<void> {}

  async rejected(): Promise<boolean> {
    this.#lastError = 'the upstream refused the key or token';
    return false;
  }

  status(): BearerStatus {
    const lastError = this.#lastError;
    return { state: 'valid', expiresAt: null, lastRefreshAt: null, lastError };
  }

  dispose(): void {}
}

export function bearerHeaders(
  token: Secret,
  accountId: string | null,
  fedramp: boolean,
): AuthHeaders {
  const authorization = new Secret(`Bearer ${token.reveal()}`);
  return { kind: 'bearer', authorization, assertion: null, accountId, fedramp, credential: token };
}
