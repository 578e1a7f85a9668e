// The longer versions of the tests of a shared login (test/store), on a real PostgreSQL:
//   npm run build:test && node bench/soak/store.mjs [contend|kill|restart|cut|stop] [count]
// Prints one line for each. Exit 1 when a login was lost that no killed process explains.
import {
  contend,
  cutHolder,
  killReplicas,
  restartEngine,
  stopHolder,
} from '../../.build/test/store/faults.js';

const RUNS = {
  contend: [contend, 10_000],
  kill: [killReplicas, 200],
  restart: [restartEngine, 20],
  cut: [cutHolder, 20],
  stop: [stopHolder, 20],
};

const [, , only, count] = process.argv;
let failed = false;
for (const [name, [run, usual]] of Object.entries(RUNS)) {
  if (only !== undefined && only !== name) continue;
  const cleanUps = [];
  const scope = { teardown: (cleanUp) => cleanUps.push(cleanUp) };
  const begun = performance.now();
  try {
    const outcome = await run(scope, Number(count ?? usual));
    const { unexplained, lost, explained, ...rest } = outcome;
    const seconds = Math.round((performance.now() - begun) / 1000);
    failed ||= unexplained.length > 0 || lost > explained;
    const figures = { ...rest, lost, explained, unexplained: unexplained.length };
    process.stdout.write(`${JSON.stringify({ run: name, seconds, ...figures })}\n`);
  } finally {
    for (const cleanUp of cleanUps.reverse()) await cleanUp();
  }
}
process.exit(failed ? 1 : 0);
