import type { AuthStore } from '../../auth-store/store.ts';
import { createLogger } from '../../base/logger.ts';
import { openStore } from '../../sidecar/open-store.ts';
import type { Settings } from '../../sidecar/settings.ts';

/** Runs a piece of work on the store that the settings name. */
export async function withStore<T>(
  settings: Settings,
  work: (store: AuthStore) => Promise<T>,
): Promise<T> {
  const store = await openStore(settings, createLogger({ level: 'silent' }), 'command');
  try {
    return await work(store);
  } finally {
    await store.close();
  }
}
