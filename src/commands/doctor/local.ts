import { stat } from 'node:fs/promises';
import { problemsOf } from '../../auth-store/file-problems.ts';
import { FileAuthStore } from '../../auth-store/file-store.ts';
import { type ClientToken, patternsOf, reachesPath } from '../../clients/client-tokens.ts';
import { placesOf } from '../../config/places.ts';
import type { Config } from '../../config/resolve.ts';
import { type LockWay, lockWay } from '../../files/lock-way.ts';
import { PROXY_PREFIX } from '../../proxy/routes.ts';
import { plainHttpBeyondLoopback } from '../../sidecar/plain-http.ts';
import type { Preflight } from '../../sidecar/preflight.ts';
import { exposureOfFile } from '../../sidecar/tokens-file.ts';
import { READS_ZSTD } from '../../upstream/stream-decoder.ts';
import { absent, type Finding, failure, ok, warning } from './finding.ts';

/** The same as in package.json; a test compares them. */
export const OLDEST_NODE = '20.18.1';

/** @param version e.g. `20.18.1` */
export function checkNode(version: string): Finding {
  const remedy = `install Node.js ${OLDEST_NODE} or later`;
  const isEnough = version.localeCompare(OLDEST_NODE, 'en', { numeric: true }) >= 0;
  return isEnough ? ok('node', version) : failure('node', `${version} is too old`, remedy);
}

/** Who may use the listener, and who can change that. */
export async function checkClients(
  { clients, listen }: Config,
  { refusals, clientTokens }: Preflight,
  canReadZstd = READS_ZSTD,
): Promise<Finding> {
  const name = 'client tokens';
  const refusal = refusals.find(({ about }) => about === name);
  if (refusal) return failure(name, refusal.error.message, null);
  const path = clients.tokensFile;
  if (path === null && listen.tls.clientCaFile !== null) {
    return ok(name, `none: ${listen.tls.clientNames.length} names of client certificates instead`);
  }
  if (path === null) {
    if (listen.socket !== null)
      return absent(name, 'not required: the mode of the socket decides who may connect');
    const problem = 'not required: any program on this machine may use the credential';
    return warning(name, problem, 'set clients.tokensFile');
  }
  const open = await exposureOfFile(path);
  if (open) return warning(name, `${path} ${open.problem}`, open.remedy);
  const { list = [] } = clientTokens?.tokens ?? {};
  const count = `${list.length} in ${path}`;
  const unlimited = list.filter(reachesMore).map((token) => token.name);
  if (unlimited.length > 0) {
    return warning(
      name,
      `${count}; ${unlimited.join(', ')} may call more than Codex asks for, as far as "routes" allows it`,
      'give it for=inference or for=codex, and in routes only paths that it needs',
    );
  }
  const judged = list.filter(({ limits }) => limits?.models).map((token) => token.name);
  if (judged.length === 0 || canReadZstd) return ok(name, count);
  return warning(
    name,
    `${count}; ${judged.join(', ')} is limited to models, and Codex with a login in its home compresses its requests with zstd, which this Node.js cannot read`,
    'run the sidecar with Node.js 22.15 or later',
  );
}

/** Of the person, not of Codex: their chats, say. */
const PERSONAL = [
  PROXY_PREFIX,
  `${PROXY_PREFIX}/me`,
  `${PROXY_PREFIX}/accounts/check`,
  `${PROXY_PREFIX}/conversation`,
  `${PROXY_PREFIX}/conversations`,
  `${PROXY_PREFIX}/conversation/id`,
  `${PROXY_PREFIX}/conversation/id/more`,
];

/** Whether a token reaches what no Codex asks for; with a purpose too, if its further paths do. */
function reachesMore(token: ClientToken): boolean {
  const patterns = patternsOf(token);
  return PERSONAL.some((path) => reachesPath({ patterns }, path));
}

/** Whether others can read what clients send; no finding where connections stay on this machine. */
export function checkEncryption(config: Config): Finding[] {
  const plain = placesOf(config).map(plainHttpBeyondLoopback);
  return plain
    .filter((one) => one !== null)
    .map(({ problem, remedy }) => warning('encryption', problem, remedy));
}

/** Whether the audit log can be written; no finding when none is configured. */
export function checkAudit({ log }: Config, { refusals }: Preflight): Finding[] {
  const name = 'audit log';
  const refusal = refusals.find(({ about }) => about === name);
  if (refusal) return [failure(name, refusal.error.message, null)];
  return log.audit === null ? [] : [ok(name, log.audit)];
}

/** Whether the counts of a day can be kept; no finding when no file is configured. */
export function checkUsageFile({ usage }: Config, { refusals }: Preflight): Finding[] {
  const name = 'usage file';
  const refusal = refusals.find(({ about }) => about === name);
  if (refusal) return [failure(name, refusal.error.message, null)];
  return usage.file === null ? [] : [ok(name, usage.file)];
}

/** Who can read `auth.json`, and whether we can keep it up to date. */
export async function checkAuthFile(codexHome: string): Promise<Finding[]> {
  const { location } = new FileAuthStore(codexHome);
  const isThere = await stat(location).then(
    () => true,
    () => false,
  );
  if (!isThere) return [absent('auth.json', `${location} does not exist`)];
  const findings = (await problemsOf(location)).map(({ problem, remedy }) =>
    warning('auth.json', `${location} ${problem}`, remedy),
  );
  return findings.length > 0 ? findings : [ok('auth.json', location)];
}

/** Whether anything can take the lock; a sidecar asks the same way. */
export async function checkLock(way: LockWay = lockWay()): Promise<Finding> {
  const means = await way.means();
  if (means !== null) return ok('lock', means);
  return warning(
    'lock',
    'nothing here can lock auth.json, so it is written without a lock',
    'install flock (util-linux or BusyBox); on Windows, let only one process use this CODEX_HOME',
  );
}
