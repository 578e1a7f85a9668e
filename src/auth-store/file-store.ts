import { join } from 'node:path';
import { invalidCredential } from '../base/errors.ts';
import type { JsonObject } from '../base/json.ts';
import { type FileState, readState } from '../files/file-state.ts';
import { holdFileLock, LockError, withFileLock, withLockIfPossible } from '../files/lock.ts';
import { type LockWay, lockWay } from '../files/lock-way.ts';
import { makeFolder } from '../files/ownership.ts';
import { ReadError, readTextFile } from '../files/read-text.ts';
import { replaceFile } from '../files/replace-file.ts';
import { type StopWatching, watchPath } from '../files/watch.ts';
import { type AuthDocument, parseAuthDocument, parseAuthJson } from './auth-document.ts';
import {
  type AuthStore,
  ChangedMeanwhile,
  NO_ANNOUNCEMENT,
  type StoreStatus,
  type Transaction,
} from './store.ts';

const LOCK_WAIT_SECONDS = 60;
const UNLOCKED = 'auth.json is used without a lock';

interface Look {
  document: AuthDocument | null;
  state: FileState;
}

/** Called with a line for the log before a document that cannot be locked is used without a lock. */
export type WarnUnlocked = (line: string, reason: LockError) => void;

/** `auth.json` in a Codex home folder. */
export class FileAuthStore implements AuthStore {
  readonly location: string;
  readonly writeRetriesMs = [60_000];
  /** A refresh of Codex may take as long as one of ours. */
  readonly lateWriterMs = 30_000;
  /**
   * Meanwhile a Codex that was first cannot write its tokens. One that starts gives up after 20 s, and
   * then they are lost (measured, 0.171.0).
   */
  readonly refreshWaitMs = 10_000;
  readonly #folder: string;
  readonly #warnUnlocked: WarnUnlocked | null;
  readonly #way: LockWay;
  /** Why there is no lock, or was none for the last work since the document was loaded. */
  #unlocked: string | null = null;
  #warned = false;
  /** Ends when the last transaction of this process has ended. */
  #transactions: Promise<unknown> = Promise.resolve();
  /** The file as the last {@link load} found it, or as we have written it since; null: unknown. */
  #known: FileState | null = null;

  /**
   * @param warnUnlocked what to do where no lock can be had, such as in a read-only folder: with it,
   * transactions go on without a lock; without it, they fail. A lock that another process holds is
   * waited for in either case.
   */
  constructor(
    codexHome: string,
    warnUnlocked: WarnUnlocked | null = null,
    way: LockWay = lockWay(),
  ) {
    this.#way = way;
    this.#folder = codexHome;
    this.location = join(codexHome, 'auth.json');
    this.#warnUnlocked = warnUnlocked;
  }

  async load(): Promise<AuthDocument | null> {
    this.#known = null;
    // Known before the first write, which may be days away.
    this.#unlocked = (await this.#way.means()) === null ? UNLOCKED : null;
    const { document, state } = await this.#look();
    this.#known = state;
    return document;
  }

  transact<T>(work: (transaction: Transaction) => Promise<T>): Promise<T> {
    return this.#tracked(() => this.#locked(async () => work(await this.#open())));
  }

  /**
   * `auth.lock` is held to read and to write, and not while the backend is asked, which can take two
   * minutes: a Codex that cannot write its new tokens for 20 s gives them up (measured, 0.171.0). Other
   * registrations wait for a lock that nobody else takes.
   */
  async register<T>(work: (transaction: Transaction) => Promise<T>): Promise<T> {
    const release = await this.#lockRegistrations();
    // Where no other file can be made, the one lock has to do.
    if (release === null) return this.transact(work);
    try {
      const alone = <R>(part: () => Promise<R>) => this.#tracked(() => this.#locked(part));
      const opened = await alone(() => this.#open());
      const transaction: Transaction = {
        ...opened,
        write: async (change, fits) => {
          await alone(() => opened.write(change, fits));
          transaction.current = opened.current;
        },
      };
      return await work(transaction);
    } finally {
      await release();
    }
  }

  /** @returns null where such a lock cannot be had */
  async #lockRegistrations(): Promise<(() => Promise<void>) | null> {
    await makeFolder(this.#folder).catch(() => undefined);
    const path = join(this.#folder, 'auth.registration.lock');
    try {
      return await holdFileLock(path, LOCK_WAIT_SECONDS, this.#way);
    } catch (error) {
      if (error instanceof LockError && !error.held) return null;
      throw error;
    }
  }

  /** Nobody looks for changes of others until it has ended. */
  #tracked<T>(run: () => Promise<T>): Promise<T> {
    const running = run();
    const settled = running.catch(() => undefined);
    this.#transactions = Promise.all([this.#transactions, settled]);
    return running;
  }

  async overwrite(change: JsonObject): Promise<void> {
    await this.#locked(async () => {
      const text = await this.#read();
      const raw = text === null ? {} : parseAuthJson(text);
      await replaceFile(this.location, `${JSON.stringify({ ...raw, ...change }, null, 2)}\n`);
    });
  }

  async #locked<T>(work: () => Promise<T>): Promise<T> {
    // The folder may not exist yet; if it cannot be created, taking the lock fails and says so.
    await makeFolder(this.#folder).catch(() => undefined);
    const path = join(this.#folder, 'auth.lock');
    const warn = this.#warnUnlocked;
    if (!warn) return withFileLock(path, LOCK_WAIT_SECONDS, work, this.#way);
    let reason: LockError | null = null;
    const begin = () => {
      if (reason && !this.#warned) {
        warn(`${this.location} cannot be locked; going on without`, reason);
      }
      this.#warned = reason !== null;
      this.#unlocked = describe(reason);
      return work();
    };
    const unlocked = (why: LockError) => {
      reason = why;
    };
    try {
      return await withLockIfPossible(path, LOCK_WAIT_SECONDS, begin, unlocked, this.#way);
    } finally {
      // Somebody may have repaired it meanwhile; the next work may be days away.
      if (reason) this.#unlocked = describe(await lockProblem(path, this.#way));
    }
  }

  async #open(): Promise<Transaction> {
    const transaction: Transaction = {
      current: (await this.#look()).document,
      // The lock keeps the others out, and a dead process holds none.
      announce: async () => NO_ANNOUNCEMENT,
      write: async (change, fits = () => true) => {
        const { document, state } = await this.#unchanged(transaction.current, Object.keys(change));
        if (!fits(document)) throw new ChangedMeanwhile(`${this.location} was changed meanwhile`);
        const text = document ? document.serialize(change) : `${JSON.stringify(change, null, 2)}\n`;
        // Checked first: what could not be read back is not written.
        const next = parseAuthDocument(text);
        const written = await replaceFile(this.location, text);
        // Otherwise it also holds what someone else has changed since the last load.
        if (state === this.#known) this.#known = written;
        transaction.current = next;
      },
    };
    return transaction;
  }

  /** Not everybody takes the lock: fields that someone else has changed are not overwritten. */
  async #unchanged(current: AuthDocument | null, fields: readonly string[]): Promise<Look> {
    const look = await this.#look();
    const { document } = look;
    const same = document && current ? document.agreesWith(current, fields) : document === current;
    if (!same) {
      throw new ChangedMeanwhile(`${this.location} was changed by a process that does not lock it`);
    }
    return look;
  }

  watch(changed: () => void): StopWatching {
    const check = async () => {
      if ((await readState(this.location)) !== this.#known) changed();
    };
    // In the middle of a transaction of our own the file is ahead of memory, or behind it.
    return watchPath(this.location, this.#folder, () => void this.#transactions.then(check));
  }

  status(): StoreStatus {
    return { kind: 'file', location: this.location, lastError: this.#unlocked };
  }

  observe(): void {}

  async close(): Promise<void> {}

  /** The state is read first: if the file is replaced in between, it is older than the document. */
  async #look(): Promise<Look> {
    const state = await readState(this.location);
    const text = await this.#read();
    return { document: text === null ? null : parseAuthDocument(text), state };
  }

  async #read(): Promise<string | null> {
    try {
      return await readTextFile(this.location);
    } catch (error) {
      if (!(error instanceof ReadError)) throw error;
      if (error.code === 'ENOENT' || error.code === 'ENOTDIR') return null;
      throw invalidCredential('auth.json', `cannot be read (${error.message})`);
    }
  }
}

function describe(reason: LockError | null): string | null {
  return reason === null ? null : `${UNLOCKED}: ${reason.message}`;
}

/** Why nobody can take the lock; null also while another process holds it. */
async function lockProblem(path: string, way: LockWay): Promise<LockError | null> {
  try {
    await withFileLock(path, 0.1, async () => undefined, way);
    return null;
  } catch (error) {
    return error instanceof LockError && !error.held ? error : null;
  }
}
