/** Allows a number of events in each period. Times are on the monotonic clock, in milliseconds. */
export class RateLimit {
  readonly #count: number;
  readonly #periodMs: number;
  #events: number[] = [];

  constructor(count: number, periodMs: number) {
    this.#count = count;
    this.#periodMs = periodMs;
  }

  /** How long the next event has to wait; 0 when it may happen now. */
  waitMs(monotonicNow: number): number {
    const [oldest = monotonicNow] = this.#events;
    if (this.#events.length < this.#count) return 0;
    return Math.max(0, oldest + this.#periodMs - monotonicNow);
  }

  /** An event happens now. */
  note(monotonicNow: number): void {
    this.#events = [...this.#events, monotonicNow].slice(-this.#count);
  }
}
