/** The format of a row that this program writes; a higher one belongs to a newer program. */
export const ROW_FORMAT = 1;

const TABLE = 'codex_auth_sidecar.login';

/**
 * Makes the table. The role that runs it owns it; sidecars need another one that may not change it.
 * `version` and `write_id` are what a write is compared with; `login`, `rotation` and `registration`
 * say how new each part of the sealed document is.
 */
export const CREATE_SQL = `CREATE SCHEMA IF NOT EXISTS codex_auth_sidecar;
CREATE TABLE IF NOT EXISTS ${TABLE} (
  name         text PRIMARY KEY CHECK (name ~ '^[a-z0-9][a-z0-9._-]{0,62}$'),
  format       smallint    NOT NULL DEFAULT ${ROW_FORMAT},
  version      bigint      NOT NULL,
  login        bigint      NOT NULL,
  rotation     bigint      NOT NULL DEFAULT 0,
  registration bigint      NOT NULL DEFAULT 0,
  attempts     jsonb       NOT NULL DEFAULT '{}',
  sealed       text        CHECK (octet_length(sealed) <= 262144),
  write_id     uuid        NOT NULL,
  written_by   text        NOT NULL,
  written_at   timestamptz NOT NULL DEFAULT clock_timestamp()
);
`;

/** @param role an SQL identifier; it is quoted here */
export function grantSql(role: string): string {
  const quoted = `"${role.replaceAll('"', '""')}"`;
  return `GRANT USAGE ON SCHEMA codex_auth_sidecar TO ${quoted};
GRANT SELECT, INSERT, UPDATE ON ${TABLE} TO ${quoted};
`;
}

// The name is there even when the row is not. A row that the caller knows is not sent again.
export const READ_SQL = `
SELECT pg_is_in_recovery() AS standby, pg_postmaster_start_time()::text AS started,
       current_setting('synchronous_standby_names') <> '' AS synchronous,
       l.name IS NOT NULL AS found, s.same,
       l.format, l.version, l.login, l.rotation, l.registration, l.write_id, l.written_by, l.written_at,
       CASE WHEN s.same THEN NULL ELSE l.attempts END AS attempts,
       CASE WHEN s.same THEN NULL ELSE l.sealed END AS sealed
  FROM (SELECT 1) AS one
  LEFT JOIN ${TABLE} AS l ON l.name = $1
  LEFT JOIN LATERAL (SELECT l.version = $2::bigint AND l.write_id = $3::uuid AS same) AS s ON true`;

// A session, a role or a database may have turned it off; it is in force for this commit.
const DURABLE = `CASE WHEN current_setting('synchronous_commit') IN ('off', 'local', 'remote_write')
                     THEN set_config('synchronous_commit', 'on', true) END AS durable`;

export const INSERT_SQL = `
INSERT INTO ${TABLE} (name, version, login, rotation, registration, attempts, sealed, write_id, written_by)
VALUES ($1, 1, $2, $3, $4, $5, $6, $7, $8)
ON CONFLICT DO NOTHING
RETURNING version, ${DURABLE}`;

// An engine that went back counts its versions anew, so the id of the last write is compared as well.
export const UPDATE_SQL = `
UPDATE ${TABLE}
   SET version = version + 1, login = $2, rotation = $3, registration = $4, attempts = $5, sealed = $6,
       write_id = $7, written_by = $8, written_at = clock_timestamp()
 WHERE name = $1 AND version = $9 AND write_id = $10 AND (login, rotation) <= ($2, $3)
RETURNING version, ${DURABLE}`;
