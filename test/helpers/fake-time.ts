import type { Schedule } from '../../src/base/schedule.ts';

interface Timer {
  at: number;
  delayMs: number;
  task: () => void;
}

/** Clocks and timers; they move only when the test says so. */
export class FakeTime {
  #monotonicMs = 1_000_000;
  #nowMs = Date.parse('2026-11-20T21:30:36.250Z');
  #timers: Timer[] = [];

  readonly now = (): number => this.#nowMs;

  readonly monotonicNow = (): number => this.#monotonicMs;

  readonly schedule: Schedule = (delayMs, task) => {
    const timer = { at: this.#monotonicMs + delayMs, delayMs, task };
    this.#timers.push(timer);
    return () => {
      this.#timers = this.#timers.filter((other) => other !== timer);
    };
  };

  /** Delays of the timers that are set. */
  get delays(): number[] {
    return this.#timers.map(({ delayMs }) => delayMs);
  }

  /** Somebody sets the clock; no time passes. */
  setClock(byMs: number): void {
    this.#nowMs += byMs;
  }

  /** Moves the clocks and fires the timers that fall into that time. */
  advance(ms: number): void {
    this.#nowMs += ms;
    this.#monotonicMs += ms;
    const due = this.#timers.filter(({ at }) => at <= this.#monotonicMs);
    this.#timers = this.#timers.filter(({ at }) => at > this.#monotonicMs);
    for (const { task } of due) task();
  }
}
