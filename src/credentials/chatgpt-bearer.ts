import type { Clock } from '../clock.ts';
import { invalidCredential, type SidecarError } from '../errors.ts';
import type { ChatGptLogin } from './chatgpt-login.ts';
import { bearerHeaders } from './static-bearer.ts';
import type { AuthHeaders, BearerProvider, BearerStatus } from './types.ts';

/** How long before its end an access token counts as expiring (Codex: 5 minutes). */
export const EXPIRY_MARGIN_MS = 5 * 60_000;

/** The access token of a ChatGPT login. */
export class ChatGptBearer implements BearerProvider {
  readonly #login: ChatGptLogin;
  readonly #now: Clock;
  readonly #headers: AuthHeaders;

  constructor(login: ChatGptLogin, now: Clock) {
    this.#login = login;
    this.#now = now;
    this.#headers = bearerHeaders(login.accessToken, login.account.id, login.account.fedramp);
  }

  headers(): AuthHeaders {
    if (this.#isExpired()) throw this.#expiredError();
    return this.#headers;
  }

  isReady(): boolean {
    return !this.#isExpired();
  }

  async prepare(): Promise<void> {}

  status(): BearerStatus {
    const { expiresAt, lastRefresh } = this.#login;
    const expiring = expiresAt !== null && expiresAt - EXPIRY_MARGIN_MS <= this.#now();
    return {
      state: this.#isExpired() ? 'failed' : expiring ? 'expiring' : 'valid',
      expiresAt: expiresAt === null ? null : new Date(expiresAt).toISOString(),
      lastRefreshAt: lastRefresh,
      lastError: this.#isExpired() ? this.#expiredError().message : null,
    };
  }

  #isExpired(): boolean {
    const { expiresAt } = this.#login;
    return expiresAt !== null && expiresAt <= this.#now();
  }

  #expiredError(): SidecarError {
    const at = new Date(this.#login.expiresAt ?? 0).toISOString();
    return invalidCredential('auth.json tokens.access_token', `expired at ${at}; sign in again`);
  }
}
