import type { MonotonicClock } from '../base/clock.ts';
import { RateLimit } from '../base/rate-limit.ts';
import type { Secret } from '../base/secret.ts';
import { RefreshError } from '../oauth/token-endpoint.ts';
import { checkPause, checkRate, describeFailure, type RefreshFailure } from './refresh-failure.ts';
import { SpentElsewhere } from './spent-elsewhere.ts';

interface RefreshGateDeps {
  monotonicNow: MonotonicClock;
  /** How long another program may need to store what it got for a refresh token; 0: there is none. */
  lateWriterMs: number;
}

const MAX_REFRESHES = 10;
const REFRESHES_MS = 10 * 60_000;

/** What the refreshes of a login so far say about the next one. */
export class RefreshGate {
  readonly #deps: RefreshGateDeps;
  /** Whatever finds the tokens old, a refresh token is not spent for each request. */
  readonly #requests = new RateLimit(MAX_REFRESHES, REFRESHES_MS);
  #failure: RefreshFailure | null = null;
  /** Refused as if somebody else had spent it; until then, on the monotonic clock, it may be so. */
  #spent: { token: Secret; refusal: RefreshError; until: number } | null = null;

  constructor(deps: RefreshGateDeps) {
    this.#deps = deps;
  }

  /** How the last refresh failed; null after one that did not. */
  get failure(): RefreshFailure | null {
    return this.#failure;
  }

  /**
   * Asked before a refresh begins.
   * @throws SidecarError
   */
  check(tokenIsOver: boolean): void {
    const monotonicNow = this.#deps.monotonicNow();
    checkPause(this.#failure, monotonicNow, tokenIsOver);
    checkRate(this.#requests.waitMs(monotonicNow));
  }

  /**
   * Asked before a refresh token is sent. One that was refused is not sent again.
   * @throws SpentElsewhere while another program may still store what it got for it
   * @throws RefreshError the refusal, when nothing has come in time
   */
  checkToken(token: Secret): void {
    if (!this.#spent?.token.equals(token)) return;
    const { refusal, until } = this.#spent;
    throw this.#deps.monotonicNow() < until ? new SpentElsewhere(refusal) : refusal;
  }

  sent(): void {
    this.#requests.note(this.#deps.monotonicNow());
  }

  refused(token: Secret, refusal: RefreshError): void {
    if (!refusal.perhapsSpent) return;
    const { monotonicNow, lateWriterMs } = this.#deps;
    this.#spent = { token, refusal, until: monotonicNow() + lateWriterMs };
  }

  succeeded(): void {
    this.#failure = null;
  }

  failed(cause: unknown): RefreshFailure {
    this.#failure = describeFailure(cause, this.#deps.monotonicNow(), this.#failure);
    return this.#failure;
  }

  /** The same for one that nobody waits for any more. */
  failedLate(token: Secret, cause: unknown): void {
    if (cause instanceof RefreshError) this.refused(token, cause);
    try {
      this.checkToken(token);
      this.failed(cause);
    } catch (error) {
      this.failed(error);
    }
  }
}
