/** The format of a row that this program writes; a higher one belongs to a newer program. */
export const ROW_FORMAT = 1;

const TABLE = 'codex_auth_sidecar.login';
export const USAGE_TABLE = 'codex_auth_sidecar.usage';

/**
 * Makes the table. The role that runs it owns it; sidecars need another one that may not change it.
 * `version` and `write_id` are what a write is compared with; `login`, `rotation` and `registration`
 * say how new each part of the sealed document is. The second table has what clients have used: a
 * row for each writer, which is one run of a sidecar, so that a write repeated changes nothing.
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
CREATE TABLE IF NOT EXISTS ${USAGE_TABLE} (
  name       text        NOT NULL,
  day        integer     NOT NULL,
  client     text        NOT NULL CHECK (octet_length(client) <= 4096),
  writer     uuid        NOT NULL,
  input      bigint      NOT NULL,
  output     bigint      NOT NULL,
  requests   integer     NOT NULL,
  streams    integer     NOT NULL,
  written_at timestamptz NOT NULL DEFAULT clock_timestamp(),
  PRIMARY KEY (name, day, client, writer)
);
`;

/** @param role an SQL identifier; it is quoted here */
export function grantSql(role: string): string {
  const quoted = `"${role.replaceAll('"', '""')}"`;
  return `GRANT USAGE ON SCHEMA codex_auth_sidecar TO ${quoted};
GRANT SELECT, INSERT, UPDATE ON ${TABLE} TO ${quoted};
GRANT SELECT, INSERT, UPDATE, DELETE ON ${USAGE_TABLE} TO ${quoted};
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

/** Writes what this run has counted, and reads what the others have; in one statement, so one trip. */
export const SHARE_USAGE_SQL = `
WITH mine AS (
  INSERT INTO ${USAGE_TABLE} AS u (name, day, client, writer, input, output, requests, streams)
  SELECT $1, $2::integer, r.client, $3::uuid, r.input, r.output, r.requests, r.streams
    FROM jsonb_to_recordset($4::jsonb)
      AS r(client text, input bigint, output bigint, requests integer, streams integer)
  ON CONFLICT (name, day, client, writer) DO UPDATE
    SET input = excluded.input, output = excluded.output, requests = excluded.requests,
        streams = excluded.streams, written_at = clock_timestamp()
)
SELECT client, sum(input)::text AS input, sum(output)::text AS output,
       coalesce(sum(requests) FILTER (WHERE recent), 0)::text AS requests,
       coalesce(sum(streams) FILTER (WHERE recent), 0)::text AS streams
  FROM (SELECT *, written_at > clock_timestamp() - interval '1 minute' AS recent
          FROM ${USAGE_TABLE} WHERE name = $1 AND day = $2::integer AND writer <> $3::uuid) AS others
 GROUP BY client`;

export const FORGET_USAGE_SQL = `
DELETE FROM ${USAGE_TABLE} WHERE name = $1 AND written_at < clock_timestamp() - interval '3 days'`;
