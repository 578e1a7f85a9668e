import type { MonotonicClock } from '../base/clock.ts';
import { invalidCredential, SidecarError } from '../base/errors.ts';
import { isHeaderText, NOT_HEADER_TEXT } from '../base/header-text.ts';
import { parseJsonObject, textAt } from '../base/json.ts';
import { normalizePlanType } from '../base/plan-type.ts';
import type { Secret } from '../base/secret.ts';
import { callFailureText, type HttpClient, type TextResponse } from '../upstream/http-client.ts';
import { type PausedFailure, pausedError, pausedFailure } from './paused-failure.ts';
import type { Account, AuthHeaders, BearerProvider, BearerStatus } from './provider.ts';
import { bearerHeaders } from './static-bearer.ts';

interface PersonalAccessTokenDeps {
  /** AuthAPI base for `whoami`. */
  authApiBaseUrl: string;
  http: HttpClient;
  monotonicNow: MonotonicClock;
  /** Where the token comes from, for messages. */
  from: string;
}

const TIMEOUT_MS = 15_000;
const MAX_BYTES = 64 * 1024;
const RETRY_PAUSE_MS = 10_000;

/** A personal access token: `whoami` once for the account, then a bearer that never changes. */
export class PersonalAccessToken implements BearerProvider {
  readonly account: Account = { id: null, email: null, planType: null, fedramp: false };
  readonly #token: Secret;
  readonly #deps: PersonalAccessTokenDeps;
  #headers: AuthHeaders | null = null;
  #pending: Promise<AuthHeaders> | null = null;
  #failure: PausedFailure | null = null;
  #refused = false;

  constructor(token: Secret, deps: PersonalAccessTokenDeps) {
    this.#token = token;
    this.#deps = deps;
  }

  headers(): AuthHeaders | Promise<AuthHeaders> {
    return this.#headers ?? this.#identify();
  }

  isReady(): boolean {
    return this.#headers !== null;
  }

  async prepare(): Promise<void> {
    // The failure is kept for whoever asks for headers.
    if (!this.#headers) await this.#identify().catch(() => undefined);
  }

  async rejected(): Promise<boolean> {
    this.#refused = true;
    return false;
  }

  status(): BearerStatus {
    const lastError = this.#failure?.error.message ?? null;
    return {
      state: this.#headers ? 'valid' : this.#failure ? 'failed' : 'refreshing',
      expiresAt: null,
      lastRefreshAt: null,
      lastError: this.#refused ? 'the upstream refused the token' : lastError,
    };
  }

  dispose(): void {}

  #identify(): Promise<AuthHeaders> {
    const paused = pausedError(this.#failure, this.#deps.monotonicNow());
    if (paused && !this.#pending) return Promise.reject(paused);
    this.#pending ??= this.#identifyOnce().finally(() => {
      this.#pending = null;
    });
    return this.#pending;
  }

  async #identifyOnce(): Promise<AuthHeaders> {
    try {
      const owner = await this.#whoami();
      this.account.id = owner.accountId;
      this.account.email = owner.email;
      this.account.planType = normalizePlanType(owner.planType);
      this.account.fedramp = owner.fedramp;
      this.#headers = bearerHeaders(this.#token, owner.accountId, owner.fedramp);
      this.#failure = null;
      return this.#headers;
    } catch (cause) {
      const error =
        cause instanceof SidecarError
          ? cause
          : unavailable(`no usable response: ${callFailureText(cause)}`, null, cause);
      const monotonicNow = this.#deps.monotonicNow();
      const { retryAfterSeconds: asked } = error;
      const askedMs = asked === null ? null : asked * 1000;
      const time = { monotonicNow, firstMs: RETRY_PAUSE_MS, askedMs, before: this.#failure };
      this.#failure = pausedFailure(error, time);
      throw pausedError(this.#failure, monotonicNow) ?? error;
    }
  }

  async #whoami(): Promise<ReturnType<typeof parseWhoami>> {
    const response = await this.#deps.http({
      method: 'GET',
      url: `${this.#deps.authApiBaseUrl}/v1/user-auth-credential/whoami`,
      headers: { authorization: `Bearer ${this.#token.reveal()}` },
      timeoutMs: TIMEOUT_MS,
      maxBytes: MAX_BYTES,
    });
    if (response.status === 401 || response.status === 403) {
      throw invalidCredential(this.#deps.from, `AuthAPI refused the token (${response.status})`);
    }
    if (response.status !== 200)
      throw unavailable(`AuthAPI answered ${response.status}`, response.retryAfterMs);
    return parseWhoami(response);
  }
}

function parseWhoami(response: TextResponse) {
  const fields = parseJsonObject(response.text);
  if (!fields) throw unavailable('AuthAPI did not answer with a JSON object');
  const accountId = textAt(fields, 'chatgpt_account_id');
  if (accountId === null) throw unavailable('the response of AuthAPI lacks chatgpt_account_id');
  if (!isHeaderText(accountId)) {
    throw unavailable(`chatgpt_account_id in the response of AuthAPI ${NOT_HEADER_TEXT}`);
  }
  return {
    accountId,
    email: textAt(fields, 'email'),
    planType: fields.chatgpt_plan_type,
    fedramp: fields.chatgpt_account_is_fedramp === true,
  };
}

function unavailable(
  problem: string,
  retryAfterMs: number | null = null,
  cause?: unknown,
): SidecarError {
  return new SidecarError(
    'AUTH_IDENTITY_UNAVAILABLE',
    `the account of the personal access token is not known: ${problem}`,
    {
      ...(retryAfterMs === null ? {} : { retryAfterSeconds: retryAfterMs / 1000 }),
      ...(cause === undefined ? {} : { cause }),
    },
  );
}
