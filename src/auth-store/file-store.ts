import { randomBytes } from 'node:crypto';
import { mkdir, open, readFile, realpath, rename, stat, unlink } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { invalidCredential } from '../errors.ts';
import { type AuthDocument, type JsonObject, parseAuthDocument } from './auth-document.ts';
import { withFileLock } from './file-lock.ts';

/** Text of a change: top-level fields to replace in the stored document. */
export type Change = JsonObject;

/** What {@link AuthStore.transact} hands to its work. */
export interface Transaction {
  /** The document as it is now, under the lock; null when there is none. */
  current: AuthDocument | null;
  /** Replaces some top-level fields, durably; the rest of the document stays as it is. */
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
}

const LOCK_WAIT_SECONDS = 60;

/** `auth.json` in a Codex home folder. */
export class FileAuthStore implements AuthStore {
  readonly location: string;
  readonly #folder: string;

  constructor(codexHome: string) {
    this.#folder = codexHome;
    this.location = join(codexHome, 'auth.json');
  }

  async load(): Promise<AuthDocument | null> {
    const text = await this.#read();
    return text === null ? null : parseAuthDocument(text);
  }

  async transact<T>(work: (transaction: Transaction) => Promise<T>): Promise<T> {
    // The folder may not exist yet; if it cannot be made, the lock says so.
    await mkdir(this.#folder, { recursive: true, mode: 0o700 }).catch(() => undefined);
    return withFileLock(join(this.#folder, 'auth.lock'), LOCK_WAIT_SECONDS, async () => {
      const transaction: Transaction = {
        current: await this.load(),
        write: async (change) => {
          const { current } = transaction;
          const text = current ? current.serialize(change) : `${JSON.stringify(change, null, 2)}\n`;
          await replaceFile(this.location, text);
          transaction.current = parseAuthDocument(text);
        },
      };
      return work(transaction);
    });
  }

  /** Whether users other than the owner can read the file. */
  async isReadableByOthers(): Promise<boolean> {
    try {
      return ((await stat(this.location)).mode & 0o077) !== 0;
    } catch {
      return false;
    }
  }

  async #read(): Promise<string | null> {
    try {
      return await readFile(this.location, 'utf8');
    } catch (error) {
      const { code } = error as NodeJS.ErrnoException;
      if (code === 'ENOENT' || code === 'ENOTDIR') return null;
      throw invalidCredential('auth.json', `cannot be read (${code ?? 'unknown error'})`);
    }
  }
}

/**
 * Writes a file so that a reader sees the old or the new content, never a part: temporary file in
 * the same folder, mode 0600, fsync, rename, fsync of the folder. A symbolic link is followed, so
 * that a linked auth.json stays a link.
 */
export async function replaceFile(path: string, text: string): Promise<void> {
  const target = await realpath(path).catch(() => path);
  const folder = dirname(target);
  const temporary = join(folder, `.${basename(target)}.${randomBytes(6).toString('hex')}`);
  try {
    const handle = await open(temporary, 'wx', 0o600);
    try {
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
}

async function syncFolder(folder: string): Promise<void> {
  const handle = await open(folder, 'r');
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}
