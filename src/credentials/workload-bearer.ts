import type { Clock, MonotonicClock } from '../base/clock.ts';
import { ConfigError, invalidCredential, SidecarError } from '../base/errors.ts';
import type { Logger } from '../base/logger.ts';
import { RateLimit } from '../base/rate-limit.ts';
import type { Schedule } from '../base/schedule.ts';
import {
  exchangeIdentityToken,
  type WorkloadToken,
  WorkloadTokenError,
} from '../oauth/workload-identity.ts';
import type { CredentialObserver } from '../telemetry/credential-events.ts';
import { CallError, callFailureText, type HttpClient } from '../upstream/http-client.ts';
import { type PausedFailure, pausedError, pausedFailure } from './paused-failure.ts';
import type {
  Account,
  AuthHeaders,
  BearerProvider,
  BearerState,
  BearerStatus,
} from './provider.ts';
import type { WorkloadIdentity } from './selection.ts';
import { bearerHeaders } from './static-bearer.ts';

interface WorkloadBearerDeps {
  http: HttpClient;
  tokenUrl: string;
  now: Clock;
  monotonicNow: MonotonicClock;
  /** Time as the backend sees it; the end of a token is compared with it. */
  backendNow: Clock;
  schedule: Schedule;
  log: Logger;
  observe?: CredentialObserver | undefined;
}

/** A token is replaced this long before its end, or at half of its time if that is later. */
const AHEAD_MS = 5 * 60_000;
const RETRY_PAUSE_MS = 5_000;
/** A path that refuses every token must not cause an exchange for each of its requests. */
const MAX_REFUSALS = 3;
const REFUSALS_MS = 60_000;

/**
 * The bearer of a workload: its identity token is traded for an access token, which lives in memory only
 * and is replaced before it ends. Nothing is spent by an exchange, so several sidecars need no common
 * store for it.
 */
export class WorkloadBearer implements BearerProvider {
  readonly account: Account = { id: null, email: null, planType: null, fedramp: false };
  readonly #identity: WorkloadIdentity;
  readonly #deps: WorkloadBearerDeps;
  readonly #refusals = new RateLimit(MAX_REFUSALS, REFUSALS_MS);
  #token: { headers: AuthHeaders; receivedAt: number; expiresAt: number | null } | null = null;
  #pending: Promise<AuthHeaders> | null = null;
  #failure: PausedFailure | null = null;
  #cancelTimer: () => void = () => undefined;
  #disposed = false;

  constructor(identity: WorkloadIdentity, deps: WorkloadBearerDeps) {
    this.#identity = identity;
    this.#deps = deps;
  }

  headers(): AuthHeaders | Promise<AuthHeaders> {
    return this.isReady() && this.#token ? this.#token.headers : this.#exchange();
  }

  isReady(): boolean {
    if (!this.#token) return false;
    const { expiresAt } = this.#token;
    return expiresAt === null || expiresAt > this.#deps.backendNow();
  }

  async prepare(): Promise<void> {
    // The failure is kept for whoever asks for headers.
    if (!this.isReady()) await this.#exchange().catch(() => undefined);
  }

  async rejected(used: AuthHeaders): Promise<boolean> {
    if (used !== this.#token?.headers) return true;
    const monotonicNow = this.#deps.monotonicNow();
    if (!this.#pending) {
      if (this.#refusals.waitMs(monotonicNow) > 0) return false;
      this.#refusals.note(monotonicNow);
    }
    await this.#exchange().catch(() => undefined);
    return used !== this.#token?.headers;
  }

  status(): BearerStatus {
    const { expiresAt = null, receivedAt = null } = this.#token ?? {};
    return {
      state: this.#state(),
      expiresAt: timeText(expiresAt),
      lastRefreshAt: timeText(receivedAt),
      lastError: this.#failure?.error.message ?? null,
    };
  }

  dispose(): void {
    this.#disposed = true;
    this.#cancelTimer();
  }

  #state(): BearerState {
    if (this.#pending || (!this.#token && !this.#failure)) return 'refreshing';
    if (!this.isReady()) return 'failed';
    return this.#failure ? 'expiring' : 'valid';
  }

  /** One exchange for all who ask; after a failure not before its pause has passed. */
  #exchange(): Promise<AuthHeaders> {
    const paused = pausedError(this.#failure, this.#deps.monotonicNow());
    if (paused && !this.#pending) return Promise.reject(paused);
    this.#pending ??= this.#exchangeOnce().finally(() => {
      this.#pending = null;
    });
    return this.#pending;
  }

  async #exchangeOnce(): Promise<AuthHeaders> {
    const { http, tokenUrl, backendNow, observe } = this.#deps;
    const { ruleId } = this.#identity;
    try {
      // Read each time: a projected token is replaced before it ends.
      const identityToken = await this.#identity.token();
      const token = await exchangeIdentityToken(
        http,
        tokenUrl,
        ruleId,
        identityToken,
        backendNow(),
      );
      observe?.({ type: 'refresh', outcome: 'refreshed' });
      return this.#accept(token);
    } catch (cause) {
      const outcome = cause instanceof WorkloadTokenError && cause.isRefusal ? 'refused' : 'failed';
      observe?.({ type: 'refresh', outcome });
      throw this.#failed(cause);
    }
  }

  #accept({ accessToken, accountId, planType, fedramp, expiresAt }: WorkloadToken): AuthHeaders {
    const { now, log } = this.#deps;
    Object.assign(this.account, { id: accountId, planType, fedramp });
    const headers = bearerHeaders(accessToken, accountId, fedramp);
    this.#token = { headers, receivedAt: now(), expiresAt };
    this.#failure = null;
    log.info({ expiresAt: timeText(expiresAt) }, 'got an access token for the workload');
    this.#arm();
    return headers;
  }

  #failed(cause: unknown): SidecarError {
    const monotonicNow = this.#deps.monotonicNow();
    const askedMs = cause instanceof WorkloadTokenError ? cause.retryAfterMs : null;
    const time = { monotonicNow, firstMs: RETRY_PAUSE_MS, askedMs, before: this.#failure };
    const failure = pausedFailure(describe(cause), time);
    const { error, pauseMs } = failure;
    this.#failure = failure;
    this.#deps.log.warn({ code: error.code }, error.message);
    this.#schedule(pauseMs);
    return pausedError(failure, monotonicNow) ?? error;
  }

  #arm(): void {
    const expiresAt = this.#token?.expiresAt ?? null;
    this.#cancelTimer();
    if (expiresAt === null) return;
    const left = expiresAt - this.#deps.backendNow();
    this.#schedule(Math.max(left / 2, left - AHEAD_MS));
  }

  #schedule(delayMs: number): void {
    this.#cancelTimer();
    if (this.#disposed) return;
    const renew = () => void this.#exchange().catch(() => undefined);
    this.#cancelTimer = this.#deps.schedule(Math.max(0, delayMs), renew);
  }
}

function describe(cause: unknown): SidecarError {
  if (cause instanceof SidecarError) return cause;
  if (cause instanceof ConfigError) {
    return new SidecarError('AUTH_CREDENTIAL_INVALID', cause.message, { cause });
  }
  if (cause instanceof WorkloadTokenError && cause.isRefusal) {
    return invalidCredential(
      'OPENAI_FEDERATION_RULE_ID',
      `and OPENAI_IDENTITY_TOKEN_FILE give no access: ${cause.message}; check the rule, and the audience and the end of the identity token`,
    );
  }
  const problem = cause instanceof CallError ? callFailureText(cause) : textOf(cause);
  return new SidecarError(
    'AUTH_REFRESH_UNAVAILABLE',
    `no access token for the workload: ${problem}`,
    { cause },
  );
}

function textOf(cause: unknown): string {
  return cause instanceof WorkloadTokenError ? cause.message : 'the exchange failed';
}

function timeText(time: number | null): string | null {
  return time === null ? null : new Date(time).toISOString();
}
