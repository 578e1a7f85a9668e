const SECOND_MS = 1_000;
/** The second that runs, and the sixty before it: they cover every minute that ends now. */
const SECONDS = 61;

/**
 * Counts events of the last minute, by the second, in a room that does not grow. A minute never holds
 * more than what is counted here. Times are on the monotonic clock, in milliseconds.
 */
export class MinuteWindow {
  readonly #counts = new Uint32Array(SECONDS);
  #second = 0;
  #total = 0;

  add(monotonicNow: number): void {
    this.#advance(monotonicNow);
    const at = this.#second % SECONDS;
    this.#counts[at] = (this.#counts[at] ?? 0) + 1;
    this.#total++;
  }

  count(monotonicNow: number): number {
    this.#advance(monotonicNow);
    return this.#total;
  }

  /** How long it takes until fewer than `limit` events count; milliseconds. */
  waitMs(limit: number, monotonicNow: number): number {
    this.#advance(monotonicNow);
    let excess = this.#total - limit + 1;
    for (let second = Math.max(0, this.#second - SECONDS + 1); second <= this.#second; second++) {
      if (excess <= 0) break;
      excess -= this.#counts[second % SECONDS] ?? 0;
      if (excess <= 0) return (second + SECONDS) * SECOND_MS - monotonicNow;
    }
    return 0;
  }

  #advance(monotonicNow: number): void {
    const second = Math.floor(monotonicNow / SECOND_MS);
    const past = Math.min(second - this.#second, SECONDS);
    for (let step = 1; step <= past; step++) {
      const at = (this.#second + step) % SECONDS;
      this.#total -= this.#counts[at] ?? 0;
      this.#counts[at] = 0;
    }
    if (past > 0) this.#second = second;
  }
}
