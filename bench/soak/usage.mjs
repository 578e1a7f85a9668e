// node bench/soak/usage.mjs [--turns 10000] [--seed 1]: mixed turns through the emulated backend, and
// whether the sum of the usage that the sidecar read is what the backend told. After `npm run build:test`.
import { parseArgs } from 'node:util';

const { values } = parseArgs({
  options: {
    turns: { type: 'string', default: '10000' },
    seed: { type: 'string', default: '1' },
  },
});

const { startSidecarWithEmulator } = await import('../../.build/test/helpers/sidecar.js');
const { Records } = await import('../../.build/test/helpers/exchange-record.js');
const { mixedTurns, toldByBackend } = await import('../../.build/test/helpers/mixed-turns.js');
const { Scrape } = await import('../../.build/test/helpers/prometheus.js');

/** All that the helpers need of a test. */
const closers = [];
const t = { teardown: (close) => void closers.unshift(close) };

const startedAt = performance.now();
const { url, emulator, sidecar } = await startSidecarWithEmulator(t);
const records = new Records(sidecar);
const { completed, broken, exchanges } = await mixedTurns(
  url,
  emulator,
  Number(values.turns),
  Number(values.seed),
);
await records.nth(exchanges);
const scrape = await Scrape.of(url);
const counted = (name, labels) => scrape.value(`codex_auth_sidecar_${name}`, labels);
const told = toldByBackend(emulator);
const wrong = [];
for (const [type, tokens] of Object.entries(told)) {
  const read = counted('tokens_total', { type });
  process.stdout.write(`${type}: the backend told ${tokens}, the sidecar read ${read}\n`);
  if (read !== tokens) wrong.push(type);
}
for (const [name, expected, labels] of [
  ['turns_total', completed],
  ['unknown_turns_total', broken, { reason: 'unfinished' }],
  ['unknown_turns_total', 0, { reason: 'unreadable' }],
]) {
  const read = counted(name, labels);
  process.stdout.write(`${name} ${labels?.reason ?? ''}: ${read} of ${expected}\n`);
  if (read !== expected) wrong.push(name);
}
const seconds = ((performance.now() - startedAt) / 1000).toFixed(0);
process.stdout.write(
  `${completed + broken} turns in ${exchanges} exchanges, ${broken} broken off; ${seconds} s\n`,
);
for (const close of closers) await close();
process.exitCode = wrong.length > 0 ? 1 : 0;
