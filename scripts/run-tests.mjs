// Prints the TAP of compiled tests, each run in a process of its own: run-tests.mjs [--timeout=SECONDS] FILE…
// `tap run` does the same, but loads its hooks for mocks and coverage into every process, which takes as
// long again as loading what is tested. It also sorts the files, so that those that wait most run at one time.
import { parseArgs } from 'node:util';
import { t } from 'tap';

/** What mostly waits for a server of its own or for its own clocks, and leaves the processor to others. */
const WAITS = /\/test\/(store|e2e)\//;
const JOBS = 4;

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: { timeout: { type: 'string', default: '300' } },
});
const files = positionals.sort();
const waiting = files.filter((file) => WAITS.test(file));
const busy = files.filter((file) => !WAITS.test(file));

t.setTimeout(0);
t.jobs = Math.min(JOBS, files.length);
t.plan(files.length);
for (const file of spread(waiting, busy)) {
  t.spawn(process.execPath, ['--enable-source-maps', file], {
    name: file,
    buffered: true,
    timeout: Number(values.timeout) * 1000,
    // The file's own limit, which `tap run` sets in the same way.
    env: { ...process.env, TAP_TIMEOUT: values.timeout },
    // The place in this file says nothing about a failure.
    at: null,
    stack: '',
  });
}

/** Mixes the few into the many at equal distances; the last fifth is left to those that end soon. */
function spread(few, many) {
  const distance = Math.max(1, Math.floor((many.length * 0.8) / Math.max(1, few.length)));
  const parts = few.map((file, i) => [file, ...many.slice(i * distance, (i + 1) * distance)]);
  return [...parts.flat(), ...many.slice(few.length * distance)];
}
