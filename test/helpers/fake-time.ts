import type { Schedule } from '../../src/base/schedule.ts';

interface Timer {
  at: number;
  delayMs: number;
  task: () => void;
}

/** A clock and its timers; both move only when the test says so. */
export class FakeTime {
  #nowMs = Date.parse('2026-11-20T21:30:36.250Z');
  #timers: Timer[] = [];

  readonly now = (): number => this.#nowMs;

  readonly schedule: Schedule = (delayMs, task) => {
    const timer = { at: this.#nowMs + delayMs, delayMs, task };
    this.#timers.push(timer);
    return () => {
      this.#timers = this.#timers.filter((other) => other !== timer);
    };
  };

  /** Delays of the timers that are set. */
  get delays(): number[] {
    return this.#timers.map(({ delayMs }) => delayMs);
  }

  /** Moves the clock and fires the timers that fall into that time. */
  advance(ms: number): void {
    this.#nowMs += ms;
    const due = this.#timers.filter(({ at }) => at <= this.#nowMs);
    this.#timers = this.#timers.filter(({ at }) => at > this.#nowMs);
    for (const { task } of due) task();
  }
}
