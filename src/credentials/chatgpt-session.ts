import type { StoredTokens } from '../auth-store/auth-document.ts';
import type { AuthStore, Transaction } from '../auth-store/store.ts';
import type { Clock, MonotonicClock } from '../base/clock.ts';
import { settlesWithin } from '../base/deadline.ts';
import type { Logger } from '../base/logger.ts';
import type { Schedule } from '../base/schedule.ts';
import type { Secret } from '../base/secret.ts';
import {
  type OAuthEndpoints,
  RefreshError,
  type RefreshReason,
  refreshTokens,
} from '../oauth/token-endpoint.ts';
import type { RefreshedTokens } from '../oauth/token-response.ts';
import type { CredentialObserver, RefreshOutcome } from '../telemetry/credential-events.ts';
import {
  type ChatGptLogin,
  REFRESH_LATE,
  type RefreshAhead,
  readSameLogin,
  refreshDueAt,
  refreshJitterMs,
  sameTokens,
} from './chatgpt-login.ts';
import { ATTEMPT_END, outcomeOf } from './refresh-failure.ts';
import { RefreshGate } from './refresh-gate.ts';
import { refreshedLogin } from './refreshed-login.ts';
import { lookingAgain } from './spent-elsewhere.ts';
import { TokenWriter } from './token-writer.ts';

interface ChatGptSessionDeps {
  store: AuthStore;
  /** Where tokens of this provenance are refreshed. @throws SidecarError AUTH_CREDENTIAL_INVALID */
  oauth: (provenance: ChatGptLogin['provenance']) => OAuthEndpoints;
  now: Clock;
  monotonicNow: MonotonicClock;
  /** Time as the backend sees it; expiry times are compared with it. */
  backendNow: Clock;
  schedule: Schedule;
  log: Logger;
  /** How long before its end a token is refreshed; by default shortly before Codex does. */
  refreshAhead?: RefreshAhead | undefined;
  /** Called for each event, if given. */
  observe?: CredentialObserver | undefined;
}

/** A response that took more than its time already is waited for this long at exit. */
const LATE_AT_EXIT_MS = 5_000;

/**
 * The tokens of a ChatGPT login over time. A refresh token works once: a refresh happens under the
 * lock of the store, after a check whether another process has already refreshed, and its result is
 * stored before it is used (openai/codex `codex-rs/login`).
 */
export class ChatGptSession {
  readonly #deps: ChatGptSessionDeps;
  #login: ChatGptLogin;
  /** The tokens in the store; after a failed write they are older than those in use. */
  #stored: ChatGptLogin;
  readonly #writer: TokenWriter;
  #pending: Promise<void> | null = null;
  /** A refresh whose response nobody waits for any more, but which still counts when it comes. */
  #late: Promise<void> | null = null;
  readonly #gate: RefreshGate;
  /** Settles with the last transaction of this session; they run one after the other. */
  #turn: Promise<unknown> = Promise.resolve();

  constructor(login: ChatGptLogin, deps: ChatGptSessionDeps) {
    this.#login = login;
    this.#stored = login;
    this.#deps = deps;
    this.#writer = new TokenWriter(deps);
    const { lateWriterMs } = deps.store;
    this.#gate = new RefreshGate({ monotonicNow: deps.monotonicNow, lateWriterMs });
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

  /** Whether the tokens in use are in memory only. */
  get isUnwritten(): boolean {
    return this.#writer.problem !== null;
  }

  get lastError(): string | null {
    return this.#gate.failure?.error.message ?? this.#writer.problem;
  }

  isExpired(): boolean {
    const { expiresAt } = this.#login;
    return expiresAt !== null && expiresAt <= this.#deps.backendNow();
  }

  /** When the next refresh is due, in milliseconds since the epoch; null: never. */
  dueAt(): number | null {
    return refreshDueAt(this.#login, this.#deps.refreshAhead);
  }

  /** By how much a refresh may come before it is due. */
  get jitterMs(): number {
    return refreshJitterMs(this.#login, this.#deps.refreshAhead ?? REFRESH_LATE);
  }

  /** Whether these are the tokens in the store, as far as this session knows. */
  holds(tokens: StoredTokens): boolean {
    return sameTokens(tokens, this.#stored);
  }

  /** Whether a refresh has failed permanently. */
  isOver(): boolean {
    return this.#gate.failure?.retryAt === null;
  }

  /**
   * Gets tokens other than `used`, from the store or from the token endpoint. Single flight.
   * @param refused the upstream refused `used`
   * @throws SidecarError AUTH_REFRESH_FAILED or AUTH_REFRESH_UNAVAILABLE
   */
  async renew(used: Secret, refused: boolean): Promise<void> {
    if (!used.equals(this.#login.accessToken)) return;
    // Its refresh token is on the way: nobody sends it a second time.
    if (this.#late && this.#gate.failure) throw this.#gate.failure.error;
    const tokenIsOver = refused || this.isExpired();
    if (!this.#pending) this.#gate.check(tokenIsOver);
    this.#pending ??= this.#renewOnce(tokenIsOver, this.#reason(refused)).finally(() => {
      this.#pending = null;
    });
    return this.#pending;
  }

  /**
   * Stores tokens that could not be written when they arrived. Called by a timer, at a reload and
   * before exit. Never rejects.
   */
  async persist(): Promise<void> {
    if (this.#writer.problem === null) return;
    this.#writer.cancelRetry();
    try {
      await this.#transact((transaction) => this.#writeDown(transaction));
    } catch (error) {
      this.#deps.log.debug({ err: error }, 'the tokens still cannot be written');
    }
    if (this.#writer.problem !== null) this.#writer.retryLater(() => void this.persist());
  }

  /** Waits for a running refresh, because its response cannot be had a second time. */
  async settle(): Promise<void> {
    await this.#pending?.catch(() => undefined);
    if (this.#late) await settlesWithin(this.#late, LATE_AT_EXIT_MS);
    await this.persist();
  }

  /** Cancels the timer; the session is not used afterwards. */
  release(): void {
    this.#writer.cancelRetry();
  }

  #reason(refused: boolean): RefreshReason {
    if (refused) return 'unauthorized_recovery';
    return this.#login.expiresAt === null ? 'scheduled' : 'proactive_expiry';
  }

  #transact<T>(work: (transaction: Transaction) => Promise<T>): Promise<T> {
    const running = this.#turn.then(() => this.#deps.store.transact(work));
    this.#turn = running.catch(() => undefined);
    return running;
  }

  async #renewOnce(tokenIsOver: boolean, reason: RefreshReason): Promise<void> {
    const before = this.#gate.failure?.error.message;
    const attempt = () =>
      this.#transact((transaction) => this.#refresh(transaction, tokenIsOver, reason));
    try {
      const outcome = await lookingAgain(attempt, tokenIsOver ? this.#deps.store : null);
      this.#gate.succeeded();
      this.#deps.observe?.({ type: 'refresh', outcome });
    } catch (cause) {
      const failure = this.#gate.failed(cause);
      this.#deps.observe?.({ type: 'refresh', outcome: outcomeOf(failure) });
      if (failure.error.message !== before) {
        this.#deps.log.warn({ err: cause }, 'the login could not be refreshed');
      }
      throw failure.error;
    }
  }

  async #refresh(
    transaction: Transaction,
    tokenIsOver: boolean,
    reason: RefreshReason,
  ): Promise<RefreshOutcome> {
    const { current } = transaction;
    const before = this.#login.accessToken;
    this.#takeOver(readSameLogin(current, this.#login));
    const { accessToken, refreshToken } = this.#login;
    // The tokens of the other process may have expired by now as well.
    if (!accessToken.equals(before) && !this.isExpired()) return 'takenOver';
    if (!refreshToken || current?.mode === 'chatgptAuthTokens') {
      throw new RefreshError('this login cannot be refreshed', 'permanent');
    }
    this.#gate.checkToken(refreshToken);
    await this.#trade(transaction, refreshToken, tokenIsOver, reason);
    return 'refreshed';
  }

  /** Guarded reload: tokens that the store did not hold before come from another process. */
  #takeOver(found: ChatGptLogin): void {
    if (sameTokens(found, this.#stored)) return;
    this.#login = found;
    this.#stored = found;
    this.#writer.giveUp();
    this.#deps.log.info('took over tokens that another process has refreshed');
  }

  async #trade(
    transaction: Transaction,
    refreshToken: Secret,
    tokenIsOver: boolean,
    reason: RefreshReason,
  ): Promise<void> {
    const { store, oauth } = this.#deps;
    const endpoints = { waitMs: store.refreshWaitMs, ...oauth(this.#login.provenance) };
    const announcement = await transaction.announce({ kind: 'refresh', tokenIsOver });
    // While another process is at it, the transaction runs again and again, and sends nothing.
    this.#gate.sent();
    try {
      const fresh = await refreshTokens(endpoints, refreshToken, reason);
      // New tokens in the store end the announced attempt by themselves.
      await this.#accept(refreshToken, fresh, (login) => this.#use(transaction, login));
    } catch (error) {
      if (error instanceof RefreshError) {
        this.#gate.refused(refreshToken, error);
        if (error.late) this.#late = this.#receiveLate(refreshToken, error.late);
        await announcement.ended(ATTEMPT_END[error.kind], error.code);
      }
      throw error;
    }
  }

  /** Never rejects. */
  async #receiveLate(spent: Secret, late: Promise<RefreshedTokens>): Promise<void> {
    const { log, observe } = this.#deps;
    try {
      const fresh = await late;
      // Another login has taken its place.
      if (!this.#login.refreshToken?.equals(spent)) return;
      await this.#accept(spent, fresh, (login) => this.#useLate(login));
      this.#gate.succeeded();
      observe?.({ type: 'refresh', outcome: 'refreshed' });
    } catch (error) {
      // Another program may have stored new tokens meanwhile.
      if (this.#login.refreshToken?.equals(spent)) this.#gate.failedLate(spent, error);
      log.warn({ err: error }, 'a refresh that took long has failed');
    } finally {
      this.#late = null;
    }
  }

  /** @param use stores and uses the new tokens */
  async #accept(
    refreshToken: Secret,
    fresh: RefreshedTokens,
    use: (login: ChatGptLogin) => Promise<void>,
  ): Promise<void> {
    const { now, log } = this.#deps;
    const before = this.#login;
    const lastRefresh = new Date(now()).toISOString();
    const { login, error } = refreshedLogin(before, refreshToken, fresh, lastRefresh);
    await use(login);
    if (error) throw error;
    if (this.isExpired() || login.accessToken.equals(before.accessToken)) {
      // Asking again at once would give the same, and spend a refresh token each time.
      const what = fresh.accessToken ? 'an expired' : 'no';
      throw new RefreshError(`the token endpoint sent ${what} access token`, 'unknown');
    }
    if (fresh.problem !== null)
      log.warn(`of the tokens of a refresh, those that can be used are kept: ${fresh.problem}`);
    const { expiresAt } = this.#login;
    log.info({ expiresAt: expiresAt && new Date(expiresAt) }, 'refreshed the login');
  }

  /** The old refresh token is spent, so the new one is stored before anything else can fail. */
  async #use(transaction: Transaction, login: ChatGptLogin): Promise<void> {
    const written = await this.#writer.write(transaction, login);
    this.#login = login;
    if (written) this.#stored = login;
    else this.#writer.retryLater(() => void this.persist());
  }

  /** The response follows from the tokens in the store, as long as those are still the same. */
  async #useLate(login: ChatGptLogin): Promise<void> {
    this.#login = login;
    this.#writer.postpone();
    await this.persist();
  }

  async #writeDown(transaction: Transaction): Promise<void> {
    if (this.#writer.problem === null) return;
    this.#takeOver(readSameLogin(transaction.current, this.#login));
    if (this.#writer.problem === null || !(await this.#writer.write(transaction, this.#login)))
      return;
    this.#stored = this.#login;
    this.#deps.log.info('wrote down the tokens that lived in memory only');
  }
}
