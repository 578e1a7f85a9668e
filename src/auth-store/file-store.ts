import { randomBytes } from 'node:crypto';
import type { Stats } from 'node:fs';
import {
  mkdir,
  open,
  readdir,
  readFile,
  readlink,
  realpath,
  rename,
  stat,
  unlink,
} from 'node:fs/promises';
import { basename, dirname, join, resolve } from 'node:path';
import { errnoOf, invalidCredential } from '../base/errors.ts';
import type { JsonObject } from '../base/json.ts';
import { withFileLock } from '../files/lock.ts';
import { type StopWatching, watchPath } from '../files/watch.ts';
import { type AuthDocument, parseAuthDocument, parseAuthJson } from './auth-document.ts';

/** Text of a change: top-level fields to replace in the stored document. */
export type Change = JsonObject;

/** What {@link AuthStore.transact} hands to its work. */
export interface Transaction {
  /** The document as it is now, under the lock; null when there is none. */
  current: AuthDocument | null;
  /**
   * Replaces some top-level fields, durably; the rest of the document stays as it is. Rejects when
   * one of them has been changed since `current` was read.
   */
  write(change: Change): Promise<void>;
}

/**
 * Where the stored credential lives. A store that several hosts share can take the place of the
 * file without the providers noticing.
 */
export interface AuthStore {
  /** Names the place in messages, e.g. the path of the file. */
  readonly location: string;
  /** null when nothing is stored. Throws AUTH_CREDENTIAL_INVALID when it cannot be read as one. */
  load(): Promise<AuthDocument | null>;
  /** Runs `work` while no other process changes the document. */
  transact<T>(work: (transaction: Transaction) => Promise<T>): Promise<T>;
  /** The same where there can be no lock, e.g. on a read-only file system; a write may fail there. */
  transactUnlocked<T>(work: (transaction: Transaction) => Promise<T>): Promise<T>;
  /** Calls back after the document may have changed, whoever changed it. */
  watch(changed: () => void): StopWatching;
}

const LOCK_WAIT_SECONDS = 60;

/** `auth.json` in a Codex home folder. */
export class FileAuthStore implements AuthStore {
  readonly location: string;
  readonly #folder: string;
  /** Ends when the last transaction of this process has ended. */
  #transactions: Promise<unknown> = Promise.resolve();

  constructor(codexHome: string) {
    this.#folder = codexHome;
    this.location = join(codexHome, 'auth.json');
  }

  async load(): Promise<AuthDocument | null> {
    const text = await this.#read();
    return text === null ? null : parseAuthDocument(text);
  }

  transact<T>(work: (transaction: Transaction) => Promise<T>): Promise<T> {
    return this.#track(this.#locked(async () => work(await this.#open())));
  }

  transactUnlocked<T>(work: (transaction: Transaction) => Promise<T>): Promise<T> {
    return this.#track(this.#open().then(work));
  }

  /** Replaces fields under the lock whatever the others hold, to mend an unusable document. */
  async mend(change: Change): Promise<void> {
    await this.#locked(async () => {
      const text = await this.#read();
      const raw = text === null ? {} : parseAuthJson(text);
      await replaceFile(this.location, `${JSON.stringify({ ...raw, ...change }, null, 2)}\n`);
    });
  }

  #track<T>(running: Promise<T>): Promise<T> {
    const settled = running.catch(() => undefined);
    this.#transactions = Promise.all([this.#transactions, settled]);
    return running;
  }

  async #locked<T>(work: () => Promise<T>): Promise<T> {
    // The folder may not exist yet; if it cannot be made, the lock says so.
    await mkdir(this.#folder, { recursive: true, mode: 0o700 }).catch(() => undefined);
    return withFileLock(join(this.#folder, 'auth.lock'), LOCK_WAIT_SECONDS, work);
  }

  async #open(): Promise<Transaction> {
    const transaction: Transaction = {
      current: await this.load(),
      write: async (change) => {
        const current = await this.#unchanged(transaction.current, Object.keys(change));
        const text = current ? current.serialize(change) : `${JSON.stringify(change, null, 2)}\n`;
        // Checked first: what could not be read back is not written.
        const next = parseAuthDocument(text);
        await replaceFile(this.location, text);
        transaction.current = next;
      },
    };
    return transaction;
  }

  /** Not everybody takes the lock: what somebody has put into these fields is not written over. */
  async #unchanged(
    current: AuthDocument | null,
    fields: readonly string[],
  ): Promise<AuthDocument | null> {
    const found = await this.load();
    const same = found && current ? found.agreesWith(current, fields) : found === current;
    if (!same) throw new Error(`${this.location} was changed by somebody without the lock`);
    return found;
  }

  watch(changed: () => void): StopWatching {
    // In the middle of a transaction of our own the file is ahead of memory, or behind it.
    return watchPath(this.location, this.#folder, () => void this.#transactions.then(changed));
  }

  /** Whether users other than the owner can read the file. */
  async isReadableByOthers(): Promise<boolean> {
    try {
      return ((await stat(this.location)).mode & 0o077) !== 0;
    } catch {
      return false;
    }
  }

  /** Whether the file has other names (hard links), which keep the old content at a write. */
  async hasOtherNames(): Promise<boolean> {
    try {
      return (await stat(this.location)).nlink > 1;
    } catch {
      return false;
    }
  }

  async #read(): Promise<string | null> {
    try {
      return await readFile(this.location, 'utf8');
    } catch (error) {
      const code = errnoOf(error);
      if (code === 'ENOENT' || code === 'ENOTDIR') return null;
      throw invalidCredential('auth.json', `cannot be read (${code})`);
    }
  }
}

/** Age from which on a temporary file is a leftover of a process that died. */
const LEFTOVER_MS = 60_000;

/**
 * Writes a file so that a reader sees the old or the new content, never a part: temporary file in
 * the same folder, mode 0600, fsync, rename, fsync of the folder. A symbolic link is followed, so
 * that a linked auth.json stays a link. A hard link is cut on purpose: another name keeps the old
 * content, and never gets to see new tokens.
 * @param like mode and owner to give it in place of 0600 and the own ones
 */
export async function replaceFile(path: string, text: string, like?: Stats): Promise<void> {
  const target = await linkTarget(path);
  const folder = dirname(target);
  const temporary = join(folder, `.${basename(target)}.${randomBytes(6).toString('hex')}`);
  try {
    const handle = await open(temporary, 'wx', 0o600);
    try {
      if (like) await handle.chown(like.uid, like.gid);
      if (like) await handle.chmod(like.mode & 0o777);
      await handle.writeFile(text);
      await handle.sync();
    } finally {
      await handle.close();
    }
    await rename(temporary, target);
  } catch (error) {
    await unlink(temporary).catch(() => undefined);
    throw error;
  }
  await syncFolder(folder);
  await removeLeftovers(folder, basename(target));
}

/** Where a chain of symbolic links ends, also when nothing is there yet. */
async function linkTarget(path: string): Promise<string> {
  try {
    return await realpath(path);
  } catch {
    const link = await readlink(path).catch(() => null);
    return link === null ? path : resolve(dirname(path), link);
  }
}

/** A killed process may leave its temporary file behind, with tokens in it. */
async function removeLeftovers(folder: string, name: string): Promise<void> {
  const names = await readdir(folder).catch(() => []);
  for (const candidate of names.filter((other) => other.startsWith(`.${name}.`))) {
    const path = join(folder, candidate);
    const info = await stat(path).catch(() => null);
    const isLeftover = /\.[0-9a-f]{12}$/.test(candidate) && info !== null;
    if (isLeftover && Date.now() - info.mtimeMs > LEFTOVER_MS) {
      await unlink(path).catch(() => undefined);
    }
  }
}

async function syncFolder(folder: string): Promise<void> {
  const handle = await open(folder, 'r');
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}
