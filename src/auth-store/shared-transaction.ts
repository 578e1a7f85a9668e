import { randomUUID } from 'node:crypto';
import { type Attempt, type AttemptTiming, mayFollow, readAttempt } from './attempts.ts';
import { AuthDocument } from './auth-document.ts';
import { agree, changed, type Remembered } from './remembered.ts';
import type { NextContent, RowKeeper, RowKeeperDeps, View } from './row-keeper.ts';
import {
  type Announcement,
  type AttemptEnd,
  ChangedMeanwhile,
  type Intent,
  StoreUnavailable,
  type Transaction,
} from './store.ts';

/** The work must run again from its start, on the row as it is then. */
export class Again extends Error {
  override readonly name = 'Again';
}

export interface SharedTiming extends AttemptTiming {
  /** Nobody announces anything so soon after a connection: others may have to write back first. */
  settleMs: number;
  /** An announcement that took longer to write is worth nothing: others may think it is stale. */
  announceMs: number;
}

export interface SharedTransactionDeps extends Pick<RowKeeperDeps, 'register' | 'replica'> {
  keeper: RowKeeper;
  now: RowKeeperDeps['now'];
  monotonicNow: RowKeeperDeps['monotonicNow'];
  location: string;
  timing: SharedTiming;
  /** Called after this transaction has written a document. */
  wrote: (before: Remembered | null, after: Remembered) => void;
}

/** One run of a piece of work over the row; there is no lock, so it may have to run again. */
export class SharedTransaction implements Transaction {
  current: AuthDocument | null;
  readonly #deps: SharedTransactionDeps;
  #begun: Remembered | null;
  readonly #announced: OwnAttempt[] = [];

  constructor(view: View, deps: SharedTransactionDeps) {
    this.#deps = deps;
    this.#begun = view.document;
    this.current = documentOf(view);
  }

  // Both are handed on by themselves.
  readonly write: Transaction['write'] = async (change, fits = () => true) => {
    const { keeper, location, now, wrote } = this.#deps;
    let before: Remembered | null = null;
    const { document } = await keeper.update((view) => {
      before = view.document;
      const { raw = null } = view.document ?? {};
      const same = agree(raw, this.#begun?.raw ?? null, Object.keys(change));
      if (!same || !fits(documentOf(view))) {
        throw new ChangedMeanwhile(`${location} was changed by another process`);
      }
      const next = changed(view.document, change, now() / 1000);
      // Checked first: what could not be read back is not written.
      if (next.raw) new AuthDocument(next.raw, 'the shared store');
      return { document: next, attempts: view.row?.attempts ?? {} };
    }, true);
    this.#begun = document;
    this.current = documentOf(keeper.view);
    if (document) wrote(before, document);
  };

  readonly announce = async (intent: Intent): Promise<Announcement> => {
    const { keeper, replica, now, timing } = this.#deps;
    const id = randomUUID();
    let begun = this.#clocks();
    const decide = (view: View): NextContent => {
      const { document, attempts } = this.#checkFree(view, intent);
      const { login, rotation } = document;
      const at = new Date(now()).toISOString();
      const own: Attempt = {
        id,
        by: replica,
        at,
        beat: 0,
        login,
        rotation,
        ended: null,
        code: null,
      };
      begun = this.#clocks();
      return { document, attempts: { ...attempts, [intent.kind]: own } };
    };
    await keeper.update(decide, false).catch((error: unknown) => {
      // It may be in the row all the same, now or later; nothing was sent under it.
      if (error instanceof StoreUnavailable) keeper.correct(id, 'remove');
      throw error;
    });
    const own = new OwnAttempt(id, intent.kind, keeper);
    this.#announced.push(own);
    const { now: wall, monotonicNow } = this.#clocks();
    // The monotonic clock stands still while the machine is suspended.
    if (Math.max(wall - begun.now, monotonicNow - begun.monotonicNow) <= timing.announceMs)
      return own;
    await own.ended('unsent');
    throw new Again();
  };

  /** Ends what was announced and has not ended by itself. Never rejects. */
  async finish(): Promise<void> {
    for (const own of this.#announced) await own.abandon();
  }

  #clocks(): { now: number; monotonicNow: number } {
    return { now: this.#deps.now(), monotonicNow: this.#deps.monotonicNow() };
  }

  /** @throws Again while somebody else is at it, or when there is something newer to read */
  #checkFree({ row, document }: View, intent: Intent): NextContent {
    const { register, keeper, timing, location } = this.#deps;
    if (!row || !document) throw new Error(`${location} is empty`);
    const counter = intent.kind === 'refresh' ? 'rotation' : 'registration';
    const begun = this.#begun;
    const unchanged = begun?.login === document.login && begun[counter] === document[counter];
    if (!unchanged || register.connectedForMs < timing.settleMs) throw new Again();
    const other = readAttempt(row, intent.kind);
    if (mayFollow(other, keeper.ageMs(intent.kind), intent, timing) === 'wait') {
      throw new Again(`${other?.by} is at it`);
    }
    return { document, attempts: row.attempts };
  }
}

class OwnAttempt implements Announcement {
  readonly #id: string;
  readonly #kind: Intent['kind'];
  readonly #keeper: RowKeeper;
  #hasEnded = false;

  constructor(id: string, kind: Intent['kind'], keeper: RowKeeper) {
    this.#id = id;
    this.#kind = kind;
    this.#keeper = keeper;
  }

  async again(): Promise<void> {
    await this.#keeper.update(({ row, document }) => {
      const own = row && readAttempt(row, this.#kind);
      if (!row || !document || own?.id !== this.#id || own.ended !== null) throw new Again();
      const next: Attempt = { ...own, beat: own.beat + 1 };
      return { document, attempts: { ...row.attempts, [this.#kind]: next } };
    }, false);
  }

  async ended(how: AttemptEnd, code: string | null = null): Promise<void> {
    this.#hasEnded = true;
    this.#keeper.correct(this.#id, how === 'unsent' ? 'remove' : { ended: how, code });
    await this.#keeper.load().catch(() => undefined);
  }

  /** Nobody said how it ended; new tokens in the row have ended a refresh by themselves. */
  async abandon(): Promise<void> {
    const { row } = this.#keeper.view;
    if (this.#hasEnded || !row || readAttempt(row, this.#kind)?.id !== this.#id) return;
    await this.ended(this.#kind === 'refresh' ? 'uncertain' : 'unsent');
  }
}

/** @throws SidecarError AUTH_CREDENTIAL_INVALID */
export function documentOf({ document }: View): AuthDocument | null {
  return document?.raw ? new AuthDocument(document.raw, 'the shared store') : null;
}
