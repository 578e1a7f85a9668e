import type { JsonObject } from '../base/json.ts';
import type { Schedule } from '../base/schedule.ts';
import { LockError } from '../files/lock.ts';
import type { StopWatching } from '../files/watch.ts';
import { type AttemptTiming, isUncertain, readAttempt } from './attempts.ts';
import type { AuthDocument } from './auth-document.ts';
import { changed, type Remembered } from './remembered.ts';
import { RowKeeper, type RowKeeperDeps } from './row-keeper.ts';
import { Again, documentOf, type SharedTiming, SharedTransaction } from './shared-transaction.ts';
import type { AuthStore, SharedStoreStatus, StoreOperation, Transaction } from './store.ts';

export interface SharedStoreDeps extends RowKeeperDeps {
  schedule: Schedule;
  sleep: (ms: number) => Promise<void>;
  pollMs: number;
}

interface SharedStoreTiming extends SharedTiming {
  /** How long a transaction waits for the attempt of another process. */
  waitMs: number;
  /** Pause between two looks while it waits. */
  lookMs: number;
}

const TIMING: SharedStoreTiming = {
  staleMs: 45_000,
  uncertainMs: 60_000,
  refusedMs: 10_000,
  settleMs: 10_000,
  announceMs: 10_000,
  waitMs: 60_000,
  lookMs: 100,
};

/**
 * One login for many processes, in one row of an engine. No lock is held while the backend is asked,
 * because an engine frees its locks just when a request may still be under way. In its place stands an
 * announcement that is durable before the request, and that time alone never takes away. New tokens
 * are written when the row still holds what they replace, whoever has waited for them.
 */
export class SharedAuthStore implements AuthStore {
  readonly location: string;
  readonly writeRetriesMs = [1_000, 2_000, 4_000, 8_000, 15_000];
  readonly lateWriterMs = 0;
  readonly refreshWaitMs = 30_000;
  readonly #deps: SharedStoreDeps;
  readonly #keeper: RowKeeper;
  /** Counters of the document that the last `load` handed out; null before the first. */
  #handedOut: string | null = null;
  /** The last poll found no engine; tokens may be waiting to be written. */
  #wasAway = false;
  #closed = false;

  constructor(deps: SharedStoreDeps) {
    this.#deps = deps;
    this.#keeper = new RowKeeper(deps);
    this.location = deps.register.location;
  }

  async load(): Promise<AuthDocument | null> {
    const view = await this.#keeper.load();
    this.#handedOut = countersOf(view.document);
    return documentOf(view);
  }

  async transact<T>(work: (transaction: Transaction) => Promise<T>): Promise<T> {
    const { monotonicNow, sleep } = this.#deps;
    const until = monotonicNow() + TIMING.waitMs;
    for (;;) {
      const transaction = new SharedTransaction(await this.#keeper.load(), this.#transactionDeps);
      try {
        return await work(transaction);
      } catch (error) {
        if (!(error instanceof Again)) throw error;
        if (monotonicNow() >= until) {
          throw new LockError(`another process is still busy in ${this.location}`, true, error);
        }
      } finally {
        await transaction.finish();
      }
      await sleep(TIMING.lookMs);
    }
  }

  /** No transaction holds a lock while the backend is asked. */
  register<T>(work: (transaction: Transaction) => Promise<T>): Promise<T> {
    return this.transact(work);
  }

  async overwrite(change: JsonObject): Promise<void> {
    const { now } = this.#deps;
    await this.#keeper.update(({ row, document }) => {
      const next = changed(document, change, now() / 1000);
      return { document: next, attempts: row?.attempts ?? {} };
    }, true);
  }

  /** Seals the document anew. @returns the start of the id of the key; null: there is nothing */
  async reseal(): Promise<string | null> {
    const { row, document } = await this.#keeper.load();
    if (!row || document?.raw == null) return null;
    await this.#keeper.update((view) => {
      if (!view.document) throw new Again('the row was removed');
      // Another object with the same content is sealed again.
      const { raw } = view.document;
      return {
        document: { ...view.document, raw: raw && { ...raw } },
        attempts: view.row?.attempts ?? {},
      };
    }, true);
    return this.status().keyId;
  }

  watch(callBack: () => void): StopWatching {
    const { schedule, pollMs } = this.#deps;
    let cancel: () => void = () => undefined;
    let stopped = false;
    const arm = () => {
      if (!stopped) cancel = schedule(pollMs, () => void poll().finally(arm));
    };
    const poll = async () => {
      if (await this.#hasNews()) callBack();
    };
    arm();
    return () => {
      stopped = true;
      cancel();
    };
  }

  status(): SharedStoreStatus {
    const { register, sealer } = this.#deps;
    const { row } = this.#keeper.view;
    const { lastContact, lastError, writtenBack } = this.#keeper;
    return {
      kind: 'postgres',
      location: this.location,
      reachable: lastContact !== null && lastError === null,
      lastContactAt: lastContact === null ? null : new Date(lastContact).toISOString(),
      lastError,
      version: row?.version ?? null,
      login: row?.login ?? null,
      rotation: row?.rotation ?? null,
      keyId: row?.sealed ? sealer.keyIdOf(row.sealed) : null,
      synchronous: register.synchronous,
      refresh: this.#refreshStatus(TIMING),
      writtenBack,
    };
  }

  observe(observer: (operation: StoreOperation) => void): void {
    this.#keeper.observe = observer;
  }

  async close(): Promise<void> {
    this.#closed = true;
    await this.#deps.register.close();
  }

  get #transactionDeps() {
    const { register, replica, now, monotonicNow } = this.#deps;
    return {
      register,
      replica,
      now,
      monotonicNow,
      keeper: this.#keeper,
      location: this.location,
      timing: TIMING,
      wrote: (before: Remembered | null, after: Remembered) => {
        // Otherwise the row also holds what somebody else has changed since the last load.
        if (this.#handedOut === countersOf(before)) this.#handedOut = countersOf(after);
      },
    };
  }

  /**
   * Whether there is another document than the last `load` handed out, or an engine again to write
   * to. Never rejects.
   */
  async #hasNews(): Promise<boolean> {
    if (this.#closed) return false;
    try {
      const { document } = await this.#keeper.load();
      const isBack = this.#wasAway;
      this.#wasAway = false;
      return isBack || this.#handedOut !== countersOf(document);
    } catch {
      // The status shows it, and the next poll tries again.
      this.#wasAway = true;
      return false;
    }
  }

  #refreshStatus(timing: AttemptTiming): SharedStoreStatus['refresh'] {
    const { row } = this.#keeper.view;
    const attempt = row && readAttempt(row, 'refresh');
    if (!attempt || attempt.ended === 'refused') {
      return { state: 'idle', by: null, since: null, code: null, ageSeconds: 0 };
    }
    const ageMs = this.#keeper.ageMs('refresh');
    const uncertain = isUncertain(attempt, ageMs, timing);
    const { by, at, code } = attempt;
    const state = attempt.ended === 'over' ? 'over' : uncertain ? 'uncertain' : 'underWay';
    return { state, by, since: at, code, ageSeconds: Math.floor(ageMs / 1000) };
  }
}

function countersOf(document: Remembered | null): string {
  return document ? `${document.login} ${document.rotation} ${document.registration}` : 'nothing';
}
