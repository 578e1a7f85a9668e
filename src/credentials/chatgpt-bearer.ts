import type { Clock, MonotonicClock } from '../base/clock.ts';
import { SidecarError } from '../base/errors.ts';
import type { Schedule } from '../base/schedule.ts';
import type { ChatGptSession } from './chatgpt-session.ts';
import type { AuthHeaders, BearerProvider, BearerState, BearerStatus } from './provider.ts';
import { bearerHeaders } from './static-bearer.ts';

interface ChatGptBearerDeps {
  monotonicNow: MonotonicClock;
  /** Time as the backend sees it; expiry times are compared with it. */
  backendNow: Clock;
  schedule: Schedule;
}

/** Pause between two background refreshes while the token is still valid. */
const RETRY_MS = 15_000;
/** A path that refuses every token must not cause a refresh for each of its requests. */
const MAX_REFUSALS = 3;
const REFUSALS_MS = 60_000;

/** The access token of a ChatGPT login, renewed before it expires and when it is refused. */
export class ChatGptBearer implements BearerProvider {
  readonly #session: ChatGptSession;
  readonly #deps: ChatGptBearerDeps;
  #headers: AuthHeaders;
  #accessToken: ChatGptSession['login']['accessToken'];
  #cancelTimer: () => void = () => undefined;
  #disposed = false;
  /** When refused tokens were renewed, on the monotonic clock. */
  #refusals: number[] = [];

  constructor(session: ChatGptSession, deps: ChatGptBearerDeps) {
    this.#session = session;
    this.#deps = deps;
    this.#accessToken = session.login.accessToken;
    this.#headers = headersOf(session);
    this.#arm();
  }

  headers(): AuthHeaders | Promise<AuthHeaders> {
    if (!this.#session.isExpired()) return this.#current();
    return this.#session.renew(this.#accessToken, false).then(() => this.#current());
  }

  isReady(): boolean {
    return !this.#session.isExpired();
  }

  async prepare(): Promise<void> {
    if (this.#session.isExpired()) await this.#renewQuietly(false);
  }

  async rejected(used: AuthHeaders): Promise<boolean> {
    if (used !== this.#current()) return true;
    if (this.#session.isRefreshing || this.#mayRenewRefused()) await this.#renewQuietly(true);
    return used !== this.#current();
  }

  status(): BearerStatus {
    const { expiresAt, lastRefresh } = this.#session.login;
    return {
      state: this.#state(),
      expiresAt: expiresAt === null ? null : new Date(expiresAt).toISOString(),
      lastRefreshAt: lastRefresh,
      lastError: this.#session.lastError,
    };
  }

  dispose(): void {
    this.#disposed = true;
    this.#cancelTimer();
  }

  #state(): BearerState {
    if (this.#session.isRefreshing) return 'refreshing';
    if (this.#session.isExpired()) return 'failed';
    const dueAt = this.#session.dueAt();
    return dueAt !== null && dueAt <= this.#deps.backendNow() ? 'expiring' : 'valid';
  }

  #mayRenewRefused(): boolean {
    const monotonicNow = this.#deps.monotonicNow();
    this.#refusals = this.#refusals.filter((at) => monotonicNow - at < REFUSALS_MS);
    if (this.#refusals.length >= MAX_REFUSALS) return false;
    this.#refusals.push(monotonicNow);
    return true;
  }

  /** Headers of the session's token; a new object only for a new token. */
  #current(): AuthHeaders {
    const { accessToken } = this.#session.login;
    if (accessToken === this.#accessToken) return this.#headers;
    const changed = !accessToken.equals(this.#accessToken);
    this.#accessToken = accessToken;
    if (changed) {
      this.#headers = headersOf(this.#session);
      this.#arm();
    }
    return this.#headers;
  }

  async #renewQuietly(refused: boolean): Promise<void> {
    try {
      await this.#session.renew(this.#accessToken, refused);
    } catch (error) {
      // The session has logged it and shows it in its status.
      if (!(error instanceof SidecarError)) throw error;
    }
    this.#current();
  }

  #arm(): void {
    this.#cancelTimer();
    const dueAt = this.#session.dueAt();
    if (dueAt === null || this.#session.isOver() || this.#disposed) return;
    const jitter = Math.random() * this.#session.jitterMs;
    const delayMs = Math.max(0, dueAt - jitter - this.#deps.backendNow());
    this.#cancelTimer = this.#deps.schedule(delayMs, () => void this.#renewInTime());
  }

  async #renewInTime(): Promise<void> {
    const dueAt = this.#session.dueAt();
    // Timers have a longest delay; one that fired early is set again.
    if (dueAt !== null && dueAt - this.#session.jitterMs > this.#deps.backendNow())
      return this.#arm();
    const before = this.#headers;
    await this.#renewQuietly(false);
    if (this.#current() !== before || this.#session.isOver() || this.#disposed) return;
    this.#cancelTimer = this.#deps.schedule(RETRY_MS, () => void this.#renewInTime());
  }
}

function headersOf(session: ChatGptSession): AuthHeaders {
  const { accessToken, account } = session.login;
  return bearerHeaders(accessToken, account.id, account.fedramp);
}
