import type { Schedule } from '../../src/base/schedule.ts';

interface Sleeper {
  at: number;
  wake: () => void;
}

const START = Date.parse('2026-11-20T21:30:36.250Z');

/** Time that goes on only when everybody waits for it. */
export class VirtualTime {
  #now = START;
  #sleepers: Sleeper[] = [];

  readonly now = (): number => this.#now;

  readonly sleep = (ms: number): Promise<void> =>
    new Promise((wake) => {
      this.#sleepers.push({ at: this.#now + ms, wake });
    });

  readonly schedule: Schedule = (delayMs, task) => {
    const sleeper = { at: this.#now + delayMs, wake: task };
    this.#sleepers.push(sleeper);
    return () => {
      this.#sleepers = this.#sleepers.filter((other) => other !== sleeper);
    };
  };

  /** Lets that much time pass. */
  async pass(ms: number): Promise<void> {
    const end = this.#now + ms;
    for (;;) {
      await everythingElse();
      const next = this.#earliest();
      if (!next || next.at > end) break;
      this.#sleepers = this.#sleepers.filter((other) => other !== next);
      this.#now = Math.max(this.#now, next.at);
      next.wake();
    }
    this.#now = end;
  }

  #earliest(): Sleeper | undefined {
    let found: Sleeper | undefined;
    for (const sleeper of this.#sleepers) if (!found || sleeper.at < found.at) found = sleeper;
    return found;
  }
}

/** All promises that can settle without time have settled. */
async function everythingElse(): Promise<void> {
  for (let turn = 0; turn < 2; turn++) await new Promise((resolve) => setImmediate(resolve));
}
