import { NO_CREDENTIAL } from '../../auth-store/auth-document.ts';
import { FileAuthStore } from '../../auth-store/file-store.ts';
import { connectPrimary } from '../../auth-store/postgres-primary.ts';
import { describeProblem } from '../../auth-store/postgres-problems.ts';
import { CREATE_SQL, grantSql } from '../../auth-store/postgres-schema.ts';
import { placeOf } from '../../auth-store/postgres-url.ts';
import type { StoreStatus } from '../../auth-store/store.ts';
import { parseJsonObject } from '../../base/json.ts';
import { createLogger } from '../../base/logger.ts';
import { databaseOf, openSharedStore, type SharedStore } from '../../sidecar/open-store.ts';
import type { Settings } from '../../sidecar/settings.ts';

const SILENT = createLogger({ level: 'silent' });

/** What `store init` runs. @param role gets the rights that a sidecar needs; null: nobody does */
export function initSql(role: string | null): string {
  return role === null ? CREATE_SQL : CREATE_SQL + grantSql(role);
}

/** Makes the table where it is not there yet. @returns one line for the user */
export async function initStore(settings: Settings, role: string | null): Promise<string> {
  const { servers, ca } = await databaseOf(settings);
  const { server, link } = await connectPrimary(await servers(), ca);
  try {
    await link.query(initSql(role));
  } catch (error) {
    throw describeProblem(error, server);
  } finally {
    link.destroy();
  }
  return `the table codex_auth_sidecar.login is in ${placeOf(server)}`;
}

/** Writes the row once more, with the first key of the key file. @returns one line for the user */
export function rekey(settings: Settings): Promise<string> {
  return withShared(settings, async ({ store }) => {
    const id = await store.reseal();
    return id === null ? `${store.location} holds no login` : `sealed with the key ${id}`;
  });
}

/** The row as it is now. */
export function storeStatus(settings: Settings): Promise<StoreStatus> {
  return withShared(settings, async ({ store }) => {
    await store.load();
    return store.status();
  });
}

/**
 * Moves the login from the store into `auth.json`. It is signed out in the store last: for a moment
 * both hold it, and sidecars that still run must not refresh it, so stop them first.
 * @returns one line for the user
 */
export function exportLogin(settings: Settings): Promise<string> {
  return withShared(settings, async ({ store }) => {
    const file = new FileAuthStore(settings.codexHome);
    return store.transact(async ({ current, write }) => {
      if (!current || current.isEmpty) return `${store.location} holds no login`;
      const document = parseJsonObject(current.serialize({})) ?? {};
      await file.overwrite({ ...NO_CREDENTIAL, ...document });
      await write(NO_CREDENTIAL);
      return `moved the login to ${file.location}; it is signed out in ${store.location}`;
    });
  });
}

async function withShared<T>(
  settings: Settings,
  work: (shared: SharedStore) => Promise<T>,
): Promise<T> {
  const shared = await openSharedStore(settings, SILENT, 'command');
  try {
    return await work(shared);
  } finally {
    await shared.store.close();
  }
}
