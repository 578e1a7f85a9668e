import { randomUUID } from 'node:crypto';
import type { Clock, MonotonicClock } from '../base/clock.ts';
import { type JsonObject, parseJsonObject } from '../base/json.ts';
import type { Logger } from '../base/logger.ts';
import {
  type Attempt,
  currentAttempts,
  lostAttempts,
  readAttempt,
  type Sighting,
  stateOfAttempt,
} from './attempts.ts';
import type { NewRow, Register, Row } from './register.ts';
import { type Counters, newest, type Remembered } from './remembered.ts';
import type { Sealer } from './sealing.ts';
import { type AttemptEnd, type Intent, type StoreOperation, StoreUnavailable } from './store.ts';

export interface RowKeeperDeps {
  register: Register;
  sealer: Sealer;
  /** Shown to people as the author of a write. */
  replica: string;
  /** Wall time: for what people read. */
  now: Clock;
  /** Milliseconds of a clock that only goes forward: for everything that is decided. */
  monotonicNow: MonotonicClock;
  log: Logger;
}

/** The row as it is, with its document open. */
export interface View {
  row: Row | null;
  /** null when there is no row; its `raw` is null when somebody signed out. */
  document: Remembered | null;
}

/** What a row is to hold from now on. */
export interface NextContent {
  document: Remembered;
  attempts: JsonObject;
}

type Correction = 'remove' | { ended: AttemptEnd; code: string | null };

const MAX_CORRECTIONS = 100;
const NOTHING: View = { row: null, document: null };

/**
 * The one row, as this process knows it. It remembers the newest document that it has seen, and
 * writes it back when the engine has gone back in time. Its operations run one after another.
 */
export class RowKeeper {
  readonly #deps: RowKeeperDeps;
  #view = NOTHING;
  /** The newest document that the engine has confirmed to this process. */
  #memory: Remembered | null = null;
  readonly #sightings = new Map<Intent['kind'], Sighting>();
  /** What became of own attempts, where the row may say otherwise; by their ids. */
  readonly #corrections = new Map<string, Correction>();
  /** Ids of the last own writes, confirmed or not. */
  #ownWrites: string[] = [];
  #hasTwin = false;
  #last: Promise<unknown> = Promise.resolve();
  #writtenBack = 0;
  #lastContact: number | null = null;
  #lastError: string | null = null;
  /** Gets each operation on the engine. */
  observe: (operation: StoreOperation) => void = () => undefined;

  constructor(deps: RowKeeperDeps) {
    this.#deps = deps;
  }

  get view(): View {
    return this.#view;
  }

  get writtenBack(): number {
    return this.#writtenBack;
  }

  /** Wall time of the last response of the engine; null before the first. */
  get lastContact(): number | null {
    return this.#lastContact;
  }

  /** Why the last operation failed; null when it did not. */
  get lastError(): string | null {
    return this.#lastError;
  }

  /**
   * The row as it is now; what this process knows better is written first.
   * @throws StoreUnavailable
   */
  load(): Promise<View> {
    return this.#inTurn(() => this.#look());
  }

  /**
   * Reads the row and replaces it with what `decide` makes of it; again when somebody else was first.
   * @param decide throws to leave the row as it is
   * @param byReading whether a write whose confirmation was lost counts when it can be read
   * @throws StoreUnavailable
   */
  update(decide: (view: View) => NextContent, byReading: boolean): Promise<View> {
    return this.#inTurn(async () => {
      for (;;) {
        const view = await this.#look();
        if (await this.#replace(view.row, decide(view), byReading)) return this.#view;
      }
    });
  }

  /** How long this process has seen the attempt of a kind in its present state. */
  ageMs(kind: Intent['kind']): number {
    const sighting = this.#sightings.get(kind);
    return sighting ? this.#deps.monotonicNow() - sighting.since : 0;
  }

  /** Notes what the row must say about an own attempt; the next `load` writes it. */
  correct(id: string, correction: Correction): void {
    this.#corrections.set(id, correction);
    const [oldest] = this.#corrections.keys();
    if (this.#corrections.size > MAX_CORRECTIONS && oldest) this.#corrections.delete(oldest);
  }

  async #inTurn<T>(work: () => Promise<T>): Promise<T> {
    const running = this.#last.then(work);
    this.#last = running.catch(() => undefined);
    return running;
  }

  async #look(): Promise<View> {
    for (;;) {
      const { row, document } = await this.#read();
      if (!row || !document) return this.#keep(NOTHING);
      const restored = newest(this.#memory, document);
      const lost = lostAttempts(this.#view.row, row);
      const known = lost ? { ...row, attempts: { ...row.attempts, ...lost } } : row;
      const attempts = this.#corrected({ ...known, rotation: (restored ?? document).rotation });
      if (!restored && !lost && !attempts) return this.#keep({ row, document });
      if (restored || lost) this.#deps.log.error('the store has lost writes; writing them back');
      const content = { document: restored ?? document, attempts: attempts ?? known.attempts };
      if (!(await this.#replace(row, content, false))) continue;
      if (restored || lost) this.#writtenBack++;
      return this.#view;
    }
  }

  async #read(): Promise<View> {
    const { register } = this.#deps;
    const known = this.#view.row;
    const row = await this.#timed('read', () => register.read(known));
    if (row === 'same') return this.#view;
    if (row && known) this.#checkAuthor(row);
    return row ? { row, document: await this.#open(row) } : NOTHING;
  }

  /** A predecessor of the same name wrote nothing since this process began to look. */
  #checkAuthor({ writtenBy, writeId }: Row): void {
    const { replica, log } = this.#deps;
    if (this.#hasTwin || writtenBy !== replica || this.#ownWrites.includes(writeId)) return;
    this.#hasTwin = true;
    log.warn(`another sidecar calls itself ${replica}; give each a store.replica of its own`);
  }

  async #open(row: Row): Promise<Remembered> {
    const { login, rotation, registration, sealed } = row;
    const counters = { login, rotation, registration };
    if (sealed === null) return { ...counters, raw: null };
    const known = this.#view;
    // An announcement changes nothing but the attempts.
    if (known.row?.sealed === sealed && sameCounters(known.row, counters) && known.document) {
      return known.document;
    }
    const raw = parseJsonObject(await this.#deps.sealer.open(sealed, counters));
    if (!raw) throw new StoreUnavailable('the sealed document in the store is not a JSON object');
    return { ...counters, raw };
  }

  /** @returns whether it was written; then it is the view and the memory */
  async #replace(before: Row | null, next: NextContent, byReading: boolean): Promise<boolean> {
    const row = await this.#sealedRow(before, next);
    this.#ownWrites = [...this.#ownWrites.slice(-9), row.writeId];
    const { register } = this.#deps;
    const write = () => register.replace(before, row);
    const version = await this.#timed('write', write).catch(async (error: unknown) => {
      const found = byReading ? await register.read(null).catch(() => null) : null;
      if (found === null || found === 'same' || found.writeId !== row.writeId) throw error;
      return found.version;
    });
    if (version === null) return false;
    const writtenAt = new Date(this.#deps.now()).toISOString();
    this.#keep({ row: { ...row, version, writtenAt }, document: next.document });
    return true;
  }

  async #sealedRow(before: Row | null, { document, attempts }: NextContent): Promise<NewRow> {
    const { login, rotation, registration, raw } = document;
    const counters = { login, rotation, registration };
    const same = before && raw === this.#view.document?.raw && sameCounters(before, counters);
    const seal = () => this.#deps.sealer.seal(JSON.stringify(raw, null, 2), counters);
    const row: NewRow = {
      ...counters,
      sealed: raw === null ? null : same ? before.sealed : await seal(),
      attempts,
      writeId: randomUUID(),
      writtenBy: this.#deps.replica,
    };
    return { ...row, attempts: currentAttempts(row) };
  }

  #keep(view: View): View {
    this.#view = view;
    this.#memory = view.document;
    for (const kind of ['refresh', 'identity'] as const) this.#see(kind, view.row);
    return view;
  }

  #see(kind: Intent['kind'], row: Row | null): void {
    const attempt = row && readAttempt(row, kind);
    if (!attempt) {
      this.#sightings.delete(kind);
      return;
    }
    const state = stateOfAttempt(attempt);
    if (this.#sightings.get(kind)?.state === state) return;
    this.#sightings.set(kind, { state, since: this.#deps.monotonicNow() });
  }

  /** The attempts as they must be; null when they are so. */
  #corrected(row: Row): JsonObject | null {
    const attempts: JsonObject = {};
    let wrong = false;
    for (const kind of ['refresh', 'identity'] as const) {
      const attempt = readAttempt(row, kind);
      const correction = attempt && this.#corrections.get(attempt.id);
      if (attempt && correction !== 'remove') attempts[kind] = corrected(attempt, correction);
      if (!attempt || !correction) continue;
      wrong ||= correction === 'remove' || correction.ended !== attempt.ended;
    }
    return wrong ? attempts : null;
  }

  async #timed<T>(operation: StoreOperation['operation'], work: () => Promise<T>): Promise<T> {
    const { monotonicNow, now } = this.#deps;
    const begun = monotonicNow();
    const report = (outcome: StoreOperation['outcome']) =>
      this.observe({ operation, outcome, seconds: (monotonicNow() - begun) / 1000 });
    try {
      const result = await work();
      this.#lastContact = now();
      this.#lastError = null;
      report(operation === 'write' && result === null ? 'conflict' : 'ok');
      return result;
    } catch (error) {
      this.#lastError = error instanceof Error ? error.message : String(error);
      report('unavailable');
      throw error;
    }
  }
}

function corrected(attempt: Attempt, correction: Exclude<Correction, 'remove'> | null | undefined) {
  return correction ? { ...attempt, ...correction } : attempt;
}

function sameCounters(a: Counters, b: Counters): boolean {
  return a.login === b.login && a.rotation === b.rotation && a.registration === b.registration;
}
