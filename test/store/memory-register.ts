import type { NewRow, Register, Row, RowStamp } from '../../src/auth-store/register.ts';
import { StoreUnavailable } from '../../src/auth-store/store.ts';

/** What goes wrong with the next operation of one client. */
export type EngineFault =
  /** The write is done, its confirmation is lost. */
  | 'unconfirmed'
  /** The write is not done, and that is not known. */
  | 'lost'
  | 'unreachable';

/** An engine in memory, with every state that it ever had. */
export class MemoryEngine {
  readonly history: (Row | null)[] = [null];
  #row: Row | null = null;

  get row(): Row | null {
    return this.#row && structuredClone(this.#row);
  }

  /** @returns the version written; null: another row is there */
  commit(expected: RowStamp | null, next: NewRow): number | null {
    const old = this.#row;
    if ((old?.writeId ?? null) !== (expected?.writeId ?? null)) return null;
    const { login, rotation } = next;
    if (old && (old.login > login || (old.login === login && old.rotation > rotation))) return null;
    const version = (old?.version ?? 0) + 1;
    this.#row = structuredClone({ ...next, version, writtenAt: '' });
    this.history.push(this.#row);
    return version;
  }

  /** As a failover does that loses the last writes. */
  goBack(writes: number): void {
    this.#row = this.history[Math.max(1, this.history.length - 1 - writes)] ?? null;
    this.history.push(this.#row);
  }
}

/** One client of such an engine. */
export class MemoryRegister implements Register {
  readonly location = 'memory#default';
  readonly synchronous = null;
  readonly #engine: MemoryEngine;
  readonly #clock: () => number;
  readonly #sleep: (ms: number) => Promise<void>;
  readonly #faults: EngineFault[] = [];
  #connectedAt = Number.NEGATIVE_INFINITY;
  #downUntil = Number.NEGATIVE_INFINITY;

  constructor(engine: MemoryEngine, clock: () => number, sleep: (ms: number) => Promise<void>) {
    this.#engine = engine;
    this.#clock = clock;
    this.#sleep = sleep;
  }

  fail(fault: EngineFault): void {
    this.#faults.push(fault);
  }

  /** Nothing gets through for a while; then the connection is a new one. */
  cut(ms: number): void {
    this.#downUntil = this.#clock() + ms;
    this.#connectedAt = this.#downUntil;
  }

  get connectedForMs(): number {
    if (this.#clock() < this.#downUntil) return 0;
    return this.#clock() - this.#connectedAt;
  }

  async read(known: RowStamp | null): Promise<Row | 'same' | null> {
    await this.#reach();
    const { row } = this.#engine;
    return row && row.writeId === known?.writeId ? 'same' : row;
  }

  async replace(expected: RowStamp | null, next: NewRow): Promise<number | null> {
    await this.#reach();
    const fault = this.#faults.shift();
    if (fault === 'lost' || fault === 'unreachable') throw this.#broken();
    const done = this.#engine.commit(expected, next);
    if (fault === 'unconfirmed') throw this.#broken();
    return done;
  }

  async close(): Promise<void> {}

  async #reach(): Promise<void> {
    await this.#sleep(2);
    if (this.#clock() < this.#downUntil) throw this.#broken();
  }

  #broken() {
    this.#connectedAt = this.#clock();
    return new StoreUnavailable('the connection broke');
  }
}
