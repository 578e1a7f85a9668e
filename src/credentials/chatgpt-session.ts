import type { AuthDocument, StoredTokens } from '../auth-store/auth-document.ts';
import type { AuthStore, Transaction } from '../auth-store/file-store.ts';
import type { Clock } from '../clock.ts';
import { SidecarError } from '../errors.ts';
import type { Logger } from '../logger.ts';
import { type OAuthEndpoints, RefreshError, refreshTokens } from '../oauth/token-endpoint.ts';
import type { Secret } from '../secret.ts';
import { type ChatGptLogin, readChatGptLogin } from './chatgpt-login.ts';
import { transactIfPossible } from './transact.ts';

export interface ChatGptSessionDeps {
  store: AuthStore;
  oauth: OAuthEndpoints;
  now: Clock;
  /** Time as the backend sees it; what an expiry is compared with. */
  backendNow: Clock;
  log: Logger;
}

interface Failure {
  error: SidecarError;
  /** Milliseconds since the epoch; null: never again for this login. */
  retryAt: number | null;
}

/** How long before its end an access token is refreshed (Codex: 5 minutes). */
export const EXPIRY_MARGIN_MS = 5 * 60_000;
/** Without an expiry, a login is refreshed when it is older than this (Codex: 8 days). */
const MAX_AGE_MS = 8 * 24 * 3_600_000;
const RETRY_PAUSE_MS = 10_000;

/**
 * The tokens of a ChatGPT login over time. Refresh tokens work once: a refresh happens under the
 * lock of the store, after a look whether another process has refreshed already, and its result is
 * written down before it is used (openai/codex `codex-rs/login`).
 */
export class ChatGptSession {
  readonly #deps: ChatGptSessionDeps;
  #login: ChatGptLogin;
  /** The tokens that the store holds: older ones than those in use when a write has failed. */
  #stored: ChatGptLogin;
  /** Why the tokens in use are not in the store. */
  #unwritten: string | null = null;
  #pending: Promise<void> | null = null;
  #failure: Failure | null = null;

  constructor(login: ChatGptLogin, deps: ChatGptSessionDeps) {
    this.#login = login;
    this.#stored = login;
    this.#deps = deps;
  }

  get login(): ChatGptLogin {
    return this.#login;
  }

  get stored(): ChatGptLogin {
    return this.#stored;
  }

  get isRefreshing(): boolean {
    return this.#pending !== null;
  }

  get lastError(): string | null {
    return this.#failure?.error.message ?? this.#unwritten;
  }

  isExpired(): boolean {
    const { expiresAt } = this.#login;
    return expiresAt !== null && expiresAt <= this.#deps.backendNow();
  }

  /** Milliseconds since the epoch from which on a refresh is due; null when none will be. */
  dueAt(): number | null {
    const { expiresAt, lastRefresh, refreshToken } = this.#login;
    if (!refreshToken) return null;
    if (expiresAt !== null) return expiresAt - EXPIRY_MARGIN_MS;
    const refreshedAt = lastRefresh === null ? Number.NaN : Date.parse(lastRefresh);
    return Number.isNaN(refreshedAt) ? null : refreshedAt + MAX_AGE_MS;
  }

  /** Whether the store, as far as this session knows, holds just these tokens. */
  holds(tokens: StoredTokens): boolean {
    return sameTokens(tokens, this.#stored);
  }

  /** Whether a refresh has failed for good. */
  isOver(): boolean {
    return this.#failure?.retryAt === null;
  }

  /**
   * Gets tokens other than `used`, from the store or from the token endpoint. Single flight.
   * @throws SidecarError AUTH_REFRESH_FAILED or AUTH_REFRESH_UNAVAILABLE
   */
  async renew(used: Secret): Promise<void> {
    if (!used.equals(this.#login.accessToken)) return;
    if (!this.#pending) this.#checkPause();
    this.#pending ??= this.#renewOnce().finally(() => {
      this.#pending = null;
    });
    return this.#pending;
  }

  /** After a permanent failure there is no further try; a change of the file makes a new session. */
  #checkPause(): void {
    const failure = this.#failure;
    if (!failure) return;
    if (failure.retryAt === null || failure.retryAt > this.#deps.now()) throw failure.error;
  }

  async #renewOnce(): Promise<void> {
    const before = this.#failure?.error.message;
    try {
      await transactIfPossible(this.#deps, (transaction) => this.#refresh(transaction));
      this.#failure = null;
    } catch (cause) {
      this.#failure = this.#describe(cause);
      const { error } = this.#failure;
      if (error.message !== before) {
        this.#deps.log.warn({ err: cause }, 'the login could not be refreshed');
      }
      throw error;
    }
  }

  async #refresh(transaction: Transaction): Promise<void> {
    const { current } = transaction;
    const before = this.#login.accessToken;
    this.#takeOver(this.#read(current));
    const { accessToken, refreshToken } = this.#login;
    // The tokens of the other process may be over as well by now.
    if (!accessToken.equals(before) && !this.isExpired()) return;
    if (!refreshToken || current?.mode === 'chatgptAuthTokens') {
      throw new RefreshError('this login cannot be refreshed', true);
    }
    await this.#trade(transaction, refreshToken);
  }

  /** What the store holds now, if it is still a login of this account. */
  #read(current: AuthDocument | null): ChatGptLogin {
    if (!current?.tokens) throw over('auth.json holds no login any more');
    const found = readChatGptLogin(current.tokens, current.lastRefresh);
    const { account, userId } = this.#login;
    if (found.account.id !== account.id || found.userId !== userId) {
      throw over('auth.json holds the login of another account now');
    }
    return found;
  }

  /** Guarded reload: tokens that the store did not hold before come from another process. */
  #takeOver(found: ChatGptLogin): void {
    if (sameTokens(found, this.#stored)) return;
    this.#login = found;
    this.#stored = found;
    this.#unwritten = null;
    this.#deps.log.info('took over tokens that another process has refreshed');
  }

  async #trade(transaction: Transaction, refreshToken: Secret): Promise<void> {
    const { oauth, now, log } = this.#deps;
    const fresh = await refreshTokens(oauth, refreshToken);
    const lastRefresh = new Date(now()).toISOString();
    const tokens: StoredTokens = {
      accessToken: fresh.accessToken ?? this.#login.accessToken,
      idToken: fresh.idToken ?? this.#login.idToken,
      refreshToken: fresh.refreshToken ?? refreshToken,
      accountId: transaction.current?.tokens?.accountId ?? null,
    };
    // The old refresh token is spent: the new one is written down before anything can go wrong.
    const written = await this.#write(transaction, tokens, lastRefresh);
    this.#login = readChatGptLogin(tokens, lastRefresh);
    if (written) this.#stored = this.#login;
    const { expiresAt } = this.#login;
    log.info({ expiresAt: expiresAt && new Date(expiresAt) }, 'refreshed the login');
  }

  async #write(
    transaction: Transaction,
    { accessToken, idToken, refreshToken }: StoredTokens,
    lastRefresh: string,
  ): Promise<boolean> {
    const { store, log } = this.#deps;
    try {
      const change = transaction.current?.tokensChange({
        id_token: idToken?.reveal() ?? null,
        access_token: accessToken.reveal(),
        refresh_token: refreshToken?.reveal() ?? null,
      });
      await transaction.write({ ...change, last_refresh: lastRefresh });
      this.#unwritten = null;
      return true;
    } catch (error) {
      this.#unwritten = `new tokens could not be written to ${store.location} and live in memory only`;
      log.error({ err: error }, this.#unwritten);
      return false;
    }
  }

  #describe(cause: unknown): Failure {
    // What the file says costs no request to find out again, and may be mended there.
    if (cause instanceof SidecarError) return { error: cause, retryAt: this.#later() };
    if (cause instanceof RefreshError && cause.permanent) {
      return { error: over(cause.message), retryAt: null };
    }
    const problem = cause instanceof Error ? cause.message : 'unknown failure';
    const error = new SidecarError('AUTH_REFRESH_UNAVAILABLE', `no new tokens: ${problem}`, {
      cause,
      retryAfterSeconds: RETRY_PAUSE_MS / 1000,
    });
    return { error, retryAt: this.#later() };
  }

  #later(): number {
    return this.#deps.now() + RETRY_PAUSE_MS;
  }
}

function sameTokens(
  a: Pick<StoredTokens, 'accessToken' | 'refreshToken'>,
  b: Pick<StoredTokens, 'accessToken' | 'refreshToken'>,
): boolean {
  const sameRefresh =
    a.refreshToken && b.refreshToken
      ? a.refreshToken.equals(b.refreshToken)
      : a.refreshToken === b.refreshToken;
  return sameRefresh && a.accessToken.equals(b.accessToken);
}

function over(problem: string): SidecarError {
  return new SidecarError('AUTH_REFRESH_FAILED', `${problem}; sign in again`);
}
