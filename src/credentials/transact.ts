import type { AuthStore, Transaction } from '../auth-store/file-store.ts';
import type { Logger } from '../base/logger.ts';
import { LockError } from '../files/lock.ts';

/** Stores for which it was said that they cannot be locked. */
const unlockable = new WeakSet<AuthStore>();

/**
 * Works under the lock of the store, or without it where there can be none (a read-only folder, no
 * flock program). A lock that somebody else holds is never passed over.
 * @throws LockError when it is held for too long
 */
export async function transactIfPossible<T>(
  { store, log }: { store: AuthStore; log: Logger },
  work: (transaction: Transaction) => Promise<T>,
): Promise<T> {
  try {
    const result = await store.transact(work);
    unlockable.delete(store);
    return result;
  } catch (error) {
    if (!(error instanceof LockError) || error.held) throw error;
    if (!unlockable.has(store)) {
      unlockable.add(store);
      log.warn({ err: error }, `${store.location} cannot be locked; going on without`);
    }
    return store.transactUnlocked(work);
  }
}
