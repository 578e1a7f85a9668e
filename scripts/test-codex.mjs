// Runs released Codex CLIs through the sidecar. CODEX_VERSIONS names them, separated by commas;
// `latest` is what the registry has today. Everything is installed first; the tests then run in an
// empty network namespace where the system allows one, because Codex asks real hosts by itself.
import { spawnSync } from 'node:child_process';

const DEFAULT_VERSIONS = '0.142.3,0.169.0,0.171.0,latest';

function fail(text) {
  process.stderr.write(`${text}\n`);
  process.exit(1);
}

function run(program, args, options = {}) {
  const { status, error } = spawnSync(program, args, { stdio: 'inherit', ...options });
  if (error) throw error;
  return status;
}

function newest() {
  const { status, stdout } = spawnSync('npm', ['view', '@openai/codex', 'version'], {
    encoding: 'utf8',
  });
  if (status !== 0) fail('the registry does not say which Codex is the latest; name versions');
  return stdout.trim();
}

/** The arguments in front of a program that reaches loopback only; null where that cannot be done. */
function emptyNetwork() {
  const up = 'ip link set lo up && exec "$@"';
  for (const flags of ['-n', '-rn']) {
    const prefix = ['unshare', flags, 'sh', '-c', up, 'sh'];
    const [program, ...args] = [...prefix, 'true'];
    if (spawnSync(program, args, { stdio: 'ignore' }).status === 0) return prefix;
  }
  return null;
}

const names = (process.env.CODEX_VERSIONS ?? DEFAULT_VERSIONS)
  .split(',')
  .map((name) => name.trim());
const versions = new Map();
for (const name of names) {
  const version = name === 'latest' ? newest() : name;
  versions.set(version, [...(versions.get(version) ?? []), name]);
}

if (run(process.execPath, ['node_modules/typescript/bin/tsc', '-p', 'tsconfig.json']) !== 0) {
  process.exit(1);
}
const { installCodex } = await import('../.build/test/e2e/codex.js');
for (const version of versions.keys()) await installCodex(version);
const { installClient, NPM_CLIENTS } = await import('../.build/test/e2e/npm-client.js');
for (const client of Object.keys(NPM_CLIENTS)) await installClient(client);

const prefix = emptyNetwork();
const where = prefix ? 'in an empty network namespace' : 'with the network of this machine';
const list = [...versions].map(([version, called]) =>
  called.includes('latest') ? `${version} (latest)` : version,
);
process.stdout.write(`Codex ${list.join(', ')}, ${where}\n`);
const command = [
  process.execPath,
  'scripts/test.mjs',
  '--timeout=600',
  ...process.argv.slice(2),
  'e2e',
];
const [program, ...args] = [...(prefix ?? []), ...command];
const status = run(program, args, { env: { ...process.env, CODEX_VERSIONS: list.join(',') } });
process.stdout.write(`Codex ${list.join(', ')}: ${status === 0 ? 'passed' : 'FAILED'}\n`);
process.exit(status ?? 1);
