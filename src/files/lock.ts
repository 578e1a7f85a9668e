import { LockError } from './lock-error.ts';
import { type LockWay, lockWay } from './lock-way.ts';
import { giveToOwnerOfFolder } from './ownership.ts';

export { LockError } from './lock-error.ts';

/**
 * Holds the exclusive lock that Codex holds while it writes `auth.json`: flock(2) on the regular
 * file `auth.lock` beside it (measured on 0.169.0 with strace). A directory as a lock would keep
 * Codex from opening its own lock file. The kernel releases the lock when the process dies.
 * @param waitSeconds how long to wait for another holder
 */
export async function withFileLock<T>(
  path: string,
  waitSeconds: number,
  work: () => Promise<T>,
  way: LockWay = lockWay(),
): Promise<T> {
  const release = await holdFileLock(path, waitSeconds, way);
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
  way: LockWay = lockWay(),
): Promise<() => Promise<void>> {
  const handle = await way.open(path, waitSeconds);
  try {
    await giveToOwnerOfFolder(path, handle);
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
  way: LockWay = lockWay(),
): Promise<T> {
  let began = false;
  const begin = () => {
    began = true;
    return work();
  };
  try {
    return await withFileLock(path, waitSeconds, begin, way);
  } catch (error) {
    if (began || !(error instanceof LockError) || error.held) throw error;
    unlocked(error);
    return work();
  }
}
