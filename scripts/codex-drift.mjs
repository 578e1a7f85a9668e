// Shows what changed between two released Codex CLIs for somebody who proxies them, or what one does:
//   npm run codex:drift -- 0.169.0 0.171.0
// Both run against the emulated backend, in a network that has only this machine. There every host
// name leads to it, so that what Codex asks at its default hosts is seen as well.
import { emptyNetwork, fail, prepare, run, versionOf } from './codex-setup.mjs';

const names = process.argv.slice(2);
if (names.length === 0 || names.length > 2) {
  fail('name one version or two, for example: npm run codex:drift -- 0.169.0 latest');
}
const versions = names.map(versionOf);
const installCodex = await prepare();
for (const version of versions) await installCodex(version);
const prefix = emptyNetwork();
if (!prefix) fail('this needs an empty network namespace, and "unshare" could not make one');
const [program, ...args] = [...prefix, process.execPath, '.build/test/e2e/drift/main.js'];
process.exit(run(program, [...args, ...versions]) ?? 1);
