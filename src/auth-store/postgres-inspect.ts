import type { PostgresLink } from './postgres-link.ts';
import { USAGE_TABLE } from './postgres-schema.ts';

/** What a database says of itself, as far as a shared login depends on it. */
export interface DatabaseFacts {
  release: string;
  /** Rights on the table that the role lacks. */
  missingRights: string[];
  /** What the role may do and does not need. */
  needlessRights: string[];
  /** Settings with which a confirmed write can be lost when the machine stops. */
  unsafeSettings: string[];
  /** Whether a second machine confirms each write. */
  synchronous: boolean;
  /** The clock of the database minus ours, in milliseconds. */
  clockMs: number;
  /** Whether the role may use the table in which sidecars tell each other what clients have used. */
  sharesUsage: boolean;
  /** How many connections a sidecar of that name has; one of a sidecar is enough. */
  namesakes: number;
}

const FACTS_SQL = `
SELECT current_setting('server_version') AS release,
       to_regclass('codex_auth_sidecar.login') IS NOT NULL AS made,
       current_setting('fsync') AS fsync,
       current_setting('full_page_writes') AS full_page_writes,
       current_setting('synchronous_commit') AS synchronous_commit,
       current_setting('synchronous_standby_names') <> '' AS synchronous,
       (SELECT rolsuper FROM pg_roles WHERE rolname = current_user) AS superuser,
       extract(epoch FROM clock_timestamp())::float8 * 1000 AS now_ms`;
const RIGHTS_SQL = `
SELECT has_table_privilege('codex_auth_sidecar.login', 'SELECT') AS "SELECT",
       has_table_privilege('codex_auth_sidecar.login', 'INSERT') AS "INSERT",
       has_table_privilege('codex_auth_sidecar.login', 'UPDATE') AS "UPDATE",
       has_table_privilege('codex_auth_sidecar.login', 'DELETE') AS "DELETE"`;
const NEEDED = ['SELECT', 'INSERT', 'UPDATE'];
/** False also where there is no such table. */
const USAGE_SQL = `
SELECT coalesce(bool_and(has_table_privilege(t.id, r.name)), false) AS usable
  FROM (SELECT to_regclass('${USAGE_TABLE}') AS id) AS t,
       unnest(ARRAY['SELECT', 'INSERT', 'UPDATE', 'DELETE']) AS r(name)`;

const NAMESAKES_SQL = `
SELECT count(*)::int AS count FROM pg_stat_activity
 WHERE application_name = $1 AND datname = current_database()`;

/**
 * @param nowMs our clock, milliseconds since the epoch
 * @param session what the connection of a sidecar with these settings is called
 */
export async function inspectDatabase(
  link: PostgresLink,
  nowMs: number,
  session: string,
): Promise<DatabaseFacts> {
  const [facts = {}] = await link.query(FACTS_SQL);
  const [rights = {}] = await link.query(RIGHTS_SQL);
  const [usage = {}] = await link.query(USAGE_SQL);
  const [namesakes = {}] = await link.query(NAMESAKES_SQL, [session]);
  const durable = ['fsync', 'full_page_writes', 'synchronous_commit'];
  return {
    release: String(facts.release),
    missingRights: NEEDED.filter((right) => rights[right] !== true),
    needlessRights: [
      ...(facts.superuser === true ? ['superuser'] : []),
      ...(rights.DELETE === true ? ['DELETE'] : []),
    ],
    sharesUsage: usage.usable === true,
    namesakes: Number(namesakes.count),
    unsafeSettings: durable.filter((name) => facts[name] === 'off'),
    synchronous: facts.synchronous === true,
    clockMs: Number(facts.now_ms) - nowMs,
  };
}
