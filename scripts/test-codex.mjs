// Runs released Codex CLIs through the sidecar. CODEX_VERSIONS names them, separated by commas;
// `latest` is what the registry has today. Everything is installed first; the tests then run in an
// empty network namespace where the system allows one, because Codex asks real hosts by itself.
import { emptyNetwork, prepare, run, versionOf } from './codex-setup.mjs';

const DEFAULT_VERSIONS = '0.142.3,0.169.0,0.171.0,latest';

const names = (process.env.CODEX_VERSIONS ?? DEFAULT_VERSIONS)
  .split(',')
  .map((name) => name.trim());
const versions = new Map();
for (const name of names) {
  const version = versionOf(name);
  versions.set(version, [...(versions.get(version) ?? []), name]);
}

const installCodex = await prepare();
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
