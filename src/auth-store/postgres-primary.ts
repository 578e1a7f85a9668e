import { PostgresLink } from './postgres-link.ts';
import { describeProblem } from './postgres-problems.ts';
import { type PostgresServer, placeOf } from './postgres-url.ts';
import { StoreUnavailable } from './store.ts';

/** A connection to a primary. */
export interface Primary {
  server: PostgresServer;
  link: PostgresLink;
}

/**
 * Connects to the first primary among servers, of which some may be standbys or away.
 * @param ca PEM with authorities; null: those of Node.js
 * @param session how the database calls this connection
 * @throws StoreUnavailable which says what is wrong with the last of them
 */
export async function connectPrimary(
  servers: readonly PostgresServer[],
  ca: string | null,
  session?: string,
): Promise<Primary> {
  let failure = new StoreUnavailable('SIDECAR_STORE_URL_FILE names no server');
  for (const server of servers) {
    try {
      const link = await PostgresLink.open(server, ca, session);
      const [row] = await link.query('SELECT pg_is_in_recovery() AS standby');
      if (row?.standby !== true) return { server, link };
      link.destroy();
      failure = onlyStandby(server);
    } catch (error) {
      failure = describeProblem(error, server);
    }
  }
  throw failure;
}

export function onlyStandby(server: PostgresServer): StoreUnavailable {
  return new StoreUnavailable(
    `store ${placeOf(server)}: this server is a standby; name the primary in SIDECAR_STORE_URL_FILE`,
  );
}
