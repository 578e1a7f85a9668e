import type { ClientCountsRow } from '../base/client-counts.ts';
import type { Clock } from '../base/clock.ts';
import type { Logger } from '../base/logger.ts';
import type { Schedule } from '../base/schedule.ts';
import type { ClientCounters } from './counters.ts';
import { dayOf } from './daily-tokens.ts';

/** Between two exchanges; milliseconds. */
const SHARE_EVERY_MS = 15_000;
/** The last counts are told within this time at the end, or not at all; milliseconds. */
const LAST_SHARE_MS = 2_000;
/** Between two removals of what is old, in exchanges: an hour. */
const FORGET_EVERY = 240;

/** Where sidecars tell each other what their clients have used. */
export interface CountsEngine {
  /** See `auth-store/postgres-usage.ts`. */
  share(day: number, mine: readonly ClientCountsRow[]): Promise<ClientCountsRow[]>;
  forget(): Promise<void>;
  close(): void;
}

interface SharedCountersDeps {
  counters: ClientCounters;
  engine: CountsEngine;
  /** Whether any client is limited; as long as none is, nothing is written. */
  isNeeded: () => boolean;
  log: Logger;
  now: Clock;
  schedule: Schedule;
}

/**
 * Makes the limits of a client common to all sidecars of a shared store. Each tells the others what
 * it has counted every fifteen seconds, with one statement, so a limit is exact to within a minute.
 * While the store is away each goes on with what it knows.
 */
export class SharedCounters {
  readonly #deps: SharedCountersDeps;
  /** What the store holds of us, by client; of one day. */
  #written = new Map<string, string>();
  #writtenDay = -1;
  #rounds = 0;
  #cancel: () => void = () => undefined;
  #isAway = false;
  #closed = false;

  constructor(deps: SharedCountersDeps) {
    this.#deps = deps;
  }

  /** Begins to share; the first exchange is over when the result is. Never rejects. */
  async start(): Promise<void> {
    await this.share();
    this.#arm();
  }

  /** Never rejects. */
  async share(): Promise<void> {
    const { counters, engine, isNeeded, now } = this.#deps;
    if (!isNeeded()) return;
    const day = dayOf(now());
    const mine = this.#changes(counters.own(day), day);
    try {
      counters.useOthers(day, await engine.share(day, mine));
      for (const row of mine) this.#written.set(row.client, JSON.stringify(row));
      if (this.#rounds++ % FORGET_EVERY === 0) await engine.forget();
      this.#found();
    } catch (error) {
      this.#missed(error);
    }
  }

  /** Tells the others the last counts. Never rejects. */
  async close(): Promise<void> {
    this.#closed = true;
    this.#cancel();
    const { engine, schedule } = this.#deps;
    let cancel: () => void = () => undefined;
    const late = new Promise<void>((resolve) => {
      cancel = schedule(LAST_SHARE_MS, resolve);
    });
    if (!this.#isAway) await Promise.race([this.share(), late]);
    cancel();
    engine.close();
  }

  #arm(): void {
    if (this.#closed) return;
    this.#cancel = this.#deps.schedule(
      SHARE_EVERY_MS,
      () => void this.share().finally(() => this.#arm()),
    );
  }

  /** What is busy is written each time, because the others forget it after a minute. */
  #changes(rows: ClientCountsRow[], day: number): ClientCountsRow[] {
    if (day !== this.#writtenDay) this.#written.clear();
    this.#writtenDay = day;
    return rows.filter((row) => {
      const isBusy = row.requests > 0 || row.streams > 0;
      return isBusy || this.#written.get(row.client) !== JSON.stringify(row);
    });
  }

  #found(): void {
    if (this.#isAway) this.#deps.log.info('the limits of clients are common to all sidecars again');
    this.#isAway = false;
  }

  #missed(error: unknown): void {
    if (!this.#isAway) {
      this.#deps.log.warn(
        { err: error },
        'the limits of clients hold for this sidecar alone until the shared store can be used',
      );
    }
    this.#isAway = true;
  }
}
