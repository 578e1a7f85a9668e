import { hostname } from 'node:os';
import { setTimeout as sleep } from 'node:timers/promises';
import { FileAuthStore, type WarnUnlocked } from '../auth-store/file-store.ts';
import type { PostgresServer } from '../auth-store/postgres-url.ts';
import type { FileSealer } from '../auth-store/sealing.ts';
import type { SharedAuthStore } from '../auth-store/shared-store.ts';
import type { AuthStore } from '../auth-store/store.ts';
import { monotonicClock, systemClock } from '../base/clock.ts';
import { ConfigError } from '../base/errors.ts';
import type { Logger } from '../base/logger.ts';
import { timerSchedule } from '../base/schedule.ts';
import { readNamedFile, type Settings } from './settings.ts';

type StoreSettings = Pick<Settings, 'config' | 'codexHome' | 'storeUrlFile'>;

/** Who opens a store: two sidecars must not have one name, but a command beside one may run. */
type StoreAuthor = 'sidecar' | 'command';

/** What a shared store is made of, for commands that need a part of it alone. */
export interface SharedStore {
  store: SharedAuthStore;
  sealer: FileSealer;
  servers: () => Promise<[PostgresServer, ...PostgresServer[]]>;
  ca: string | null;
}

/**
 * Opens the store that the settings name. A shared one connects when it is first asked.
 * @param warnUnlocked gets what is said when a file is used without a lock
 * @throws ConfigError when the settings of a shared store cannot be used
 */
export async function openStore(
  settings: StoreSettings,
  log: Logger,
  author: StoreAuthor = 'sidecar',
  warnUnlocked: WarnUnlocked = (line, reason) => log.warn({ err: reason }, line),
): Promise<AuthStore> {
  if (settings.config.store.kind === 'file') {
    return new FileAuthStore(settings.codexHome, warnUnlocked);
  }
  return (await openSharedStore(settings, log, author)).store;
}

/** @throws ConfigError */
export async function openSharedStore(
  settings: StoreSettings,
  log: Logger,
  author: StoreAuthor,
): Promise<SharedStore> {
  const { name, keyFile, pollSeconds } = settings.config.store;
  const replica = replicaOf(settings);
  if (keyFile === null) {
    throw new ConfigError(
      'store.keyFile is not set; put the output of "store key" into a file and name that file',
    );
  }
  // A sidecar with a file needs nothing of these.
  const { PostgresRegister } = await import('../auth-store/postgres-register.ts');
  const { sessionOf } = await import('../auth-store/postgres-link.ts');
  const { FileSealer } = await import('../auth-store/sealing.ts');
  const { SharedAuthStore } = await import('../auth-store/shared-store.ts');
  const sealer = new FileSealer(keyFile, name, log);
  await sealer.ring();
  const { servers, ca } = await databaseOf(settings);
  const register = new PostgresRegister({
    name,
    servers,
    ca,
    first: (await servers())[0],
    monotonicNow: monotonicClock,
    ...(author === 'sidecar' ? { session: sessionOf(name, replica) } : {}),
  });
  const store = new SharedAuthStore({
    register,
    sealer,
    log,
    sleep,
    replica: replica + (author === 'command' ? ' (command)' : ''),
    now: systemClock,
    monotonicNow: monotonicClock,
    schedule: timerSchedule,
    pollMs: pollSeconds * 1000,
  });
  return { store, sealer, servers, ca };
}

/** The name of this sidecar in the row. */
export function replicaOf({ config }: Pick<Settings, 'config'>): string {
  return config.store.replica ?? hostname();
}

/** Where the database is, and whom its certificate is from. @throws ConfigError */
export async function databaseOf({
  config,
  storeUrlFile,
}: StoreSettings): Promise<Pick<SharedStore, 'servers' | 'ca'>> {
  if (config.store.kind !== 'postgres') {
    throw new ConfigError('store.kind is "file"; set it to "postgres" for a shared login');
  }
  if (storeUrlFile === null) {
    throw new ConfigError(
      'SIDECAR_STORE_URL_FILE is not set; write postgres://user:password@host:5432/database into a file and name it there',
    );
  }
  const { parseServers } = await import('../auth-store/postgres-url.ts');
  const { caFile } = config.store;
  return {
    // Read again at each connection, so that a changed password or token is used.
    servers: async () => parseServers(await readNamedFile('SIDECAR_STORE_URL_FILE', storeUrlFile)),
    ca: caFile === null ? null : await readNamedFile('store.caFile', caFile),
  };
}
