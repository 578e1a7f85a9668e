import type { Clock } from '../base/clock.ts';
import type { Logger } from '../base/logger.ts';

/** Past this many milliseconds a difference is logged and corrected. */
const TOLERANCE_MS = 30_000;
/**
 * A larger difference is ignored. One wrong header could otherwise make every credential expire, or
 * put a time into an assertion that cannot be written.
 */
const BELIEVABLE_MS = 24 * 3600 * 1000;
/** The header has whole seconds; the middle of its second is off by no more than this. */
const HALF_SECOND_MS = 500;

/**
 * Whose response told a time: one of our own calls (token endpoint, AuthAPI, JWKS), or a proxied one,
 * which any server on the way may have dated.
 */
type Teller = 'own' | 'proxied';

/**
 * Time as the backend sees it, learnt from the `Date` header of its responses. Assertions and
 * registrations carry a timestamp that the backend compares with its own clock, and the expiry of
 * tokens is compared with it too. One wrong clock must not make every token look expired: a difference
 * is corrected only if our own calls found it, and no proxied response confirms our clock since.
 */
export class BackendClock {
  readonly #local: Clock;
  readonly #log: Pick<Logger, 'warn' | 'info'>;
  readonly #skews: Record<Teller, number | null> = { own: null, proxied: null };
  /** As the last response told it, believed or not. */
  #latestMs: number | null = null;
  readonly #lastDate: Record<Teller, string | null> = { own: null, proxied: null };
  #saidUnbelievable = false;

  constructor(local: Clock, log: Pick<Logger, 'warn' | 'info'>) {
    this.#local = local;
    this.#log = log;
  }

  /** Milliseconds since the epoch: our own clock, or the backend's where they differ too much. */
  readonly now: Clock = () => {
    return this.#local() - (this.#believed() ?? 0);
  };

  /** Our clock minus the backend's, in whole seconds; null before the first response. */
  get skewSeconds(): number | null {
    if (this.#latestMs === null) return null;
    // Avoids -0.
    return Math.round(this.#latestMs / 1000) || 0;
  }

  /** @param header the headers of a response, by lower-case name */
  observeResponse(header: (name: string) => string | null): void {
    // A response out of a cache was dated when it went in.
    if (header('age') === null) this.observe(header('date'), 'proxied');
  }

  /** @param date value of a `Date` header; anything else is ignored */
  observe(date: string | null, teller: Teller = 'own'): void {
    // All responses of one second carry the same date; the first of them is the closest to it.
    if (date === null || this.#lastDate[teller] === date) return;
    this.#lastDate[teller] = date;
    const backend = Date.parse(date);
    if (Number.isNaN(backend)) return;
    const skew = this.#local() - (backend + HALF_SECOND_MS);
    if (Math.abs(skew) > BELIEVABLE_MS) {
      this.#reportUnbelievable();
      return;
    }
    const was = this.#believed() !== null;
    this.#skews[teller] = skew;
    this.#latestMs = skew;
    if ((this.#believed() !== null) !== was) this.#report(!was);
  }

  /** The difference to correct in milliseconds; null: none. */
  #believed(): number | null {
    const { own, proxied } = this.#skews;
    if (own === null || !isTooLarge(own)) return null;
    if (proxied === null) return own;
    if (!isTooLarge(proxied)) return null;
    // Both find a difference. Where they agree, the proxied one is the newer.
    return isTooLarge(own - proxied) ? own : proxied;
  }

  /** Once, or each response would write a line. */
  #reportUnbelievable(): void {
    if (this.#saidUnbelievable) return;
    this.#saidUnbelievable = true;
    this.#log.warn(
      'our clock and the Date of the backend differ by over a day; this is not corrected',
    );
  }

  #report(isCorrected: boolean): void {
    const skewSeconds = this.skewSeconds;
    if (isCorrected) {
      this.#log.warn(
        { skewSeconds },
        'the clock differs from the backend; signatures are corrected',
      );
    } else {
      this.#log.info({ skewSeconds }, 'the clock agrees with the backend again');
    }
  }
}

function isTooLarge(skewMs: number): boolean {
  return Math.abs(skewMs) > TOLERANCE_MS;
}
