import type { AuthStore } from '../../auth-store/store.ts';
import { createLogger } from '../../base/logger.ts';
import { openStore } from '../../sidecar/open-store.ts';
import type { Settings } from '../../sidecar/settings.ts';

/**
 * Runs a piece of work on the store that the settings name.
 * @param warn gets a line when it cannot be locked
 */
export async function withStore<T>(
  settings: Settings,
  warn: (line: string) => void,
  work: (store: AuthStore) => Promise<T>,
): Promise<T> {
  const log = createLogger({ level: 'silent' });
  const store = await openStore(settings, log, 'command', (line, { message }) =>
    warn(`${line}: ${message}`),
  );
  try {
    return await work(store);
  } finally {
    await store.close();
  }
}
