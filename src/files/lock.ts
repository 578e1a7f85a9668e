import { spawn } from 'node:child_process';
import { type FileHandle, open } from 'node:fs/promises';
import { giveToOwnerOfFolder } from './ownership.ts';

/** The lock could not be taken; the message says why and what to do. */
export class LockError extends Error {
  override readonly name = 'LockError';
  /** Whether another process holds it; false: no lock can be taken here at all. */
  readonly held: boolean;

  constructor(message: string, held: boolean, cause?: unknown) {
    super(message, cause === undefined ? undefined : { cause });
    this.held = held;
  }
}

/**
 * Holds the exclusive lock that Codex holds while it writes `auth.json`: flock(2) on the regular
 * file `auth.lock` beside it (measured on 0.169.0 with strace). A directory as a lock would keep
 * Codex from opening its own lock file. The kernel releases the lock when the process dies.
 *
 * Node has no flock. The `flock` program of util-linux or BusyBox takes the lock on a descriptor that
 * it inherits; the lock belongs to the open file, so it stays with us when that program ends.
 *
 * @param waitSeconds how long to wait for another holder
 */
export async function withFileLock<T>(
  path: string,
  waitSeconds: number,
  work: () => Promise<T>,
): Promise<T> {
  const release = await holdFileLock(path, waitSeconds);
  try {
    return await work();
  } finally {
    await release();
  }
}

/**
 * The same for as long as the process lives, or until the result is called.
 * @throws LockError
 */
export async function holdFileLock(
  path: string,
  waitSeconds: number,
): Promise<() => Promise<void>> {
  let handle: FileHandle;
  try {
    handle = await open(path, 'a', 0o600);
    await giveToOwnerOfFolder(path, handle);
  } catch (cause) {
    throw new LockError(`cannot open ${path}`, false, cause);
  }
  try {
    await takeLock(handle.fd, path, waitSeconds);
  } catch (error) {
    await handle.close();
    throw error;
  }
  return () => handle.close();
}

/**
 * The same for work that must be done even where no lock can be taken.
 * @param unlocked called with the reason before the work starts without a lock
 * @throws LockError only when another process holds the lock
 */
export async function withLockIfPossible<T>(
  path: string,
  waitSeconds: number,
  work: () => Promise<T>,
  unlocked: (reason: LockError) => void,
): Promise<T> {
  let began = false;
  const begin = () => {
    began = true;
    return work();
  };
  try {
    return await withFileLock(path, waitSeconds, begin);
  } catch (error) {
    if (began || !(error instanceof LockError) || error.held) throw error;
    unlocked(error);
    return work();
  }
}

function takeLock(fd: number, path: string, waitSeconds: number): Promise<void> {
  return new Promise((resolve, reject) => {
    // BusyBox's flock has no timeout option, so the program is killed when the time is up.
    const child = spawn('flock', ['-x', '3'], {
      stdio: ['ignore', 'ignore', 'ignore', fd],
      timeout: waitSeconds * 1000,
      env: { PATH: '/usr/local/bin:/usr/bin:/bin:/opt/homebrew/bin:/usr/sbin:/sbin' },
    });
    child.once('error', (cause) => {
      reject(new LockError('the program "flock" is missing; install util-linux', false, cause));
    });
    child.once('exit', (code) => {
      if (code === 0) resolve();
      else if (code === null) reject(new LockError(`${path} is held by another process`, true));
      else reject(new LockError(`${path} cannot be locked (flock ended with ${code})`, false));
    });
  });
}
