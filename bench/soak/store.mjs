// The longer versions of the tests of a shared login (test/store), on a real PostgreSQL:
//   npm run build:test && node bench/soak/store.mjs [name] [count]
// Prints one line for each. Exit 1 when one of them went wrong, such as by a login that was lost without
// a kill that explains it.
import { mix } from '../../.build/bench/soak/store/mixed.js';
import {
  refuseEveryTask,
  refuseTask,
  startFirst,
} from '../../.build/bench/soak/store/registrations.js';
import { agentsOf } from '../../.build/bench/soak/store/sidecars.js';
import { signInAndOut } from '../../.build/bench/soak/store/sign-ins.js';
import { failOverBehind, failOverInStep } from '../../.build/test/store/failovers.js';
import { contend, restartEngine } from '../../.build/test/store/faults.js';
import { killReplicas } from '../../.build/test/store/kills.js';
import { cutHolder, cutHolderOfEndingToken, stopHolder } from '../../.build/test/store/pauses.js';

const REAL = { haste: 1 };
const SIDECARS = 3;
const POLL_MS = 1_000;
const askSidecars = (t) => (fleet) => agentsOf(t, fleet, SIDECARS);

/** Each with its usual count: of refreshes, faults, rounds or seconds. */
const RUNS = {
  contend: [contend, 10_000],
  kill: [(t, count) => killReplicas(t, count, { pollMs: POLL_MS }), 200],
  'kill-real': [(t, count) => killReplicas(t, count, { ...REAL, pollMs: POLL_MS }), 60],
  restart: [(t, count) => restartEngine(t, count, { beside: askSidecars(t) }), 20],
  'restart-real': [(t, count) => restartEngine(t, count, REAL), 4],
  'failover-in-step': [(t, count) => repeated(t, count, failOverInStep), 5],
  'failover-behind': [(t, count) => repeated(t, count, () => failOverBehind(t)), 5],
  'failover-real': [(t, count) => repeated(t, count, () => failOverBehind(t, 1)), 1],
  cut: [(t, count) => cutHolder(t, count, { ms: 6_000 }), 20],
  'cut-real': [(t, count) => cutHolder(t, count, { ...REAL, ms: 60_000 }), 1],
  'cut-ending': [cutHolderOfEndingToken, 1],
  'stop-in-flight': [stopHolder, 20],
  'stop-announced': [(t, count) => stopHolder(t, count, { where: 'announced' }), 20],
  'stop-sending': [(t, count) => stopHolder(t, count, { where: 'sending' }), 20],
  'stop-received': [(t, count) => stopHolder(t, count, { where: 'received' }), 20],
  'stop-60': [(t, count) => stopHolder(t, count, { ...REAL, ms: 60_000 }), 1],
  'stop-150': [(t, count) => stopHolder(t, count, { ...REAL, ms: 150_000, where: 'received' }), 1],
  'stop-150-in-flight': [(t, count) => stopHolder(t, count, { ...REAL, ms: 150_000 }), 1],
  'first-starts': [startFirst, 100],
  'refused-tasks': [refuseTask, 50],
  'refuse-all': [refuseEveryTask, 300],
  'sign-ins': [signInAndOut, 10],
  mixed: [mix, 1_800],
};

async function repeated(t, times, run) {
  const outcomes = [];
  for (let i = 0; i < times; i++) outcomes.push(await run(t));
  const sum = (name) => outcomes.reduce((total, outcome) => total + (outcome[name] ?? 0), 0);
  return {
    faults: times,
    lost: sum('over'),
    explained: 0,
    unexplained: outcomes.flatMap(({ reused }) => reused),
    outcomes,
  };
}

/** What is wrong with an outcome; nothing, when all is as it must be. */
function problemsOf({ wrong = [], unexplained = [], lost = 0, explained = 0 }) {
  const twice = unexplained.map((token) => `${token} was sent twice`);
  return [...wrong, ...twice, ...(lost > explained ? [`${lost - explained} logins lost`] : [])];
}

const [, , only, count] = process.argv;
if (only !== undefined && !(only in RUNS)) {
  process.stderr.write(`there is no ${only}; there are ${Object.keys(RUNS).join(', ')}\n`);
  process.exit(2);
}
let failed = false;
for (const [name, [run, usual]] of Object.entries(RUNS)) {
  if (only !== undefined && only !== name) continue;
  const cleanUps = [];
  const scope = { teardown: (cleanUp) => cleanUps.push(cleanUp) };
  const begun = performance.now();
  try {
    const outcome = await run(scope, Number(count ?? usual));
    const seconds = Math.round((performance.now() - begun) / 1000);
    const problems = problemsOf(outcome);
    failed ||= problems.length > 0;
    process.stdout.write(`${JSON.stringify({ run: name, seconds, ...outcome, problems })}\n`);
  } finally {
    for (const cleanUp of cleanUps.reverse()) await cleanUp();
  }
}
process.exit(failed ? 1 : 0);
