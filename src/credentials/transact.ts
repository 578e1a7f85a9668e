import { LockError } from '../auth-store/file-lock.ts';
import type { AuthStore, Transaction } from '../auth-store/file-store.ts';
import type { Logger } from '../logger.ts';

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
    return await store.transact(work);
  } catch (error) {
    if (!(error instanceof LockError) || error.held) throw error;
    log.warn({ err: error }, `${store.location} cannot be locked; going on without`);
    return store.transactUnlocked(work);
  }
}
