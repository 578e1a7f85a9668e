import { stat } from 'node:fs/promises';
import { join } from 'node:path';
import { inspectDatabase } from '../../auth-store/postgres-inspect.ts';
import { sessionOf } from '../../auth-store/postgres-link.ts';
import { connectPrimary } from '../../auth-store/postgres-primary.ts';
import { placeOf } from '../../auth-store/postgres-url.ts';
import type { AuthStore, StoreStatus } from '../../auth-store/store.ts';
import { monotonicClock, systemClock } from '../../base/clock.ts';
import { databaseOf, replicaOf } from '../../sidecar/open-store.ts';
import type { Settings } from '../../sidecar/settings.ts';
import { type Finding, failure, ok, warning } from './finding.ts';

const NAME = 'store';
const MAX_CLOCK_MS = 60_000;
const DAY_MS = 86_400_000;
const DUE_DAYS = 14;

/** Whether the shared login can be read and kept, and how safe it is there. */
export async function checkStore(settings: Settings, store: AuthStore): Promise<Finding[]> {
  const begun = monotonicClock();
  try {
    await store.load();
  } catch (error) {
    return [failure(NAME, error instanceof Error ? error.message : 'cannot be read', null)];
  }
  const took = Math.round(monotonicClock() - begun);
  const { location } = store;
  return [
    ok(NAME, `${location}, read in ${took} ms with its connection`),
    ...rowFindings(store.status()),
    ...(await keyFileFindings(settings.config.store.keyFile)),
    ...(await databaseFindings(settings)),
    ...(await secondCopy(settings.codexHome)),
  ];
}

function rowFindings(status: StoreStatus): Finding[] {
  if (status.kind === 'file') return [];
  const { version, keyId, refresh } = status;
  if (version === null) {
    return [warning(NAME, 'there is no login in it yet', 'run "login" with the same settings')];
  }
  const { by, since, code } = refresh;
  const what = `the last refresh, of ${by} at ${since}`;
  const signIn = 'sign in again before the access token ends';
  if (refresh.state === 'over') return [failure(NAME, `${what}, was refused: ${code}`, signIn)];
  if (refresh.state === 'uncertain') {
    return [warning(NAME, `${what}, has an unknown outcome`, signIn)];
  }
  return keyId === null ? [warning(NAME, 'somebody signed out', 'sign in')] : [ok('key', keyId)];
}

async function keyFileFindings(path: string | null): Promise<Finding[]> {
  const info = path === null ? null : await stat(path).catch(() => null);
  if (!info || (info.mode & 0o077) === 0) return [];
  return [warning('key', `${path} can be read by other users`, `run: chmod 600 ${path}`)];
}

async function databaseFindings(settings: Settings): Promise<Finding[]> {
  const { servers, ca } = await databaseOf(settings);
  const { server, link } = await connectPrimary(await servers(), ca);
  const replica = replicaOf(settings);
  try {
    const session = sessionOf(settings.config.store.name, replica);
    const facts = await inspectDatabase(link, systemClock(), session);
    const { release, missingRights, needlessRights, unsafeSettings, clockMs } = facts;
    const findings = [ok('database', `PostgreSQL ${release} at ${placeOf(server)}`)];
    findings.push(...certificateFindings(link.certificateEnd, systemClock()));
    const add = (when: boolean, finding: Finding) => when && findings.push(finding);
    const rights = missingRights.join(', ');
    add(rights !== '', failure('database', `the role lacks ${rights} on the table`, 'grant it'));
    add(
      needlessRights.length > 0,
      warning(
        'database',
        `the role has ${needlessRights.join(' and ')}, which no sidecar needs`,
        'use a role with SELECT, INSERT and UPDATE alone',
      ),
    );
    add(
      !facts.sharesUsage,
      warning(
        'database',
        'the table of what clients have used is missing, or the role lacks a right on it: each sidecar holds clients to their limits alone',
        'run "store init" of this version once more, with the same --role',
      ),
    );
    for (const name of unsafeSettings) {
      add(true, warning('database', `${name} is off: a crash may lose the login`, 'turn it on'));
    }
    add(
      !facts.synchronous,
      warning(
        'database',
        'no synchronous standby: a failover may lose the last write, which the sidecars write back while one lives',
        'set synchronous_standby_names',
      ),
    );
    add(
      facts.namesakes > 1,
      warning(
        'store',
        `${facts.namesakes} sidecars are connected as ${replica}, so nobody can tell them apart`,
        'give each its own store.replica',
      ),
    );
    const seconds = Math.round(clockMs / 1000);
    const skewed = Math.abs(clockMs) > MAX_CLOCK_MS;
    add(skewed, warning('database', `its clock differs from ours by ${seconds} s`, 'set one'));
    return findings;
  } finally {
    link.destroy();
  }
}

/** How long clients accept the certificate of the database; no finding without TLS. */
export function certificateFindings(end: number | null, now: number): Finding[] {
  if (end === null) return [];
  const days = Math.floor((end - now) / DAY_MS);
  const text = `its certificate is valid for ${days} more days, until ${new Date(end).toISOString()}`;
  return [days < DUE_DAYS ? warning('database', text, 'renew it') : ok('database', text)];
}

/** A login in two places is spent by whoever refreshes second. */
async function secondCopy(codexHome: string): Promise<Finding[]> {
  const path = join(codexHome, 'auth.json');
  const isThere = await stat(path).then(
    () => true,
    () => false,
  );
  if (!isThere) return [];
  const problem = `${path} is there beside the store and is not used`;
  return [warning(NAME, problem, 'if it holds the same login, move it in: login --import --take')];
}
