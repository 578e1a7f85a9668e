import { Cast } from './cast.ts';
import { Measures, medianRatio } from './measures.ts';
import { bareNodePeer } from './peers/bare-node.ts';
import { type Emulated, sidecarPeer, startEmulator } from './peers/sidecar.ts';
import { type JobOf, quantile } from './protocol.ts';
import { runWorkload } from './rounds.ts';
import { Stage } from './stage.ts';
import { requests, type Workload } from './workloads.ts';

// A short look for CI: `npm run bench:guard`. It compares what a request costs here and in a proxy on
// Node that does nothing else, with TLS to the upstream, in processor time.

/**
 * What an idle machine of two cores gives. The limit lies in the middle between that and what a
 * regression of 15 % would give; bench/README.md says how far the ratio varies.
 */
const USUAL = 1.4;
const AT_MOST = USUAL * 1.08;
const STARTS = 5;
const LIMIT_MS = 120_000;

/**
 * V8 compiles by the number of calls, not by time: the ratio is 2.3 in the first seconds and steady from then
 * on. A machine with other load needs longer for it.
 */
const WARM_UP_REQUESTS = 8_000;
const WARM_UP_LIMIT_MS = 12_000;
/**
 * Both have their load at the same time, because the speed of a virtual machine changes by half from one
 * moment to the next. Where they take turns, single ratios differ by a fifth.
 */
const WORKLOAD: Workload = { ...requests('guard', 8, 24), together: true };

const limit = setTimeout(() => {
  process.stderr.write(`bench: the guard is not done in ${LIMIT_MS / 1000} s\n`);
  process.exit(1);
}, LIMIT_MS);
const stage = await Stage.open();
const ratios: number[] = [];
try {
  const emulated = await startEmulator(stage);
  while (ratios.length < STARTS) ratios.push(await ratioOfStart(stage, emulated));
} finally {
  await stage.close();
  clearTimeout(limit);
}
// The lower quartile: a regression is in all of them, a disturbance in some.
const ratio = quantile(
  ratios.toSorted((a, b) => a - b),
  0.25,
);
const all = ratios.map((one) => one.toFixed(2)).join(', ');
process.stdout.write(
  `processor time a request over TLS, sidecar to bare-node: ${ratio.toFixed(2)} (at most ${AT_MOST.toFixed(2)}; starts: ${all})\n`,
);
process.exitCode = ratio <= AT_MOST ? 0 : 1;

async function ratioOfStart(stage: Stage, emulated: Emulated): Promise<number> {
  const measures = new Measures();
  const cast = await Cast.start(stage, [bareNodePeer(), sidecarPeer(emulated)], stage.tlsPlace);
  await warmUp(cast);
  await runWorkload(cast, WORKLOAD, measures);
  await cast.stop();
  const own = measures.find('guard', 'cpu', 'sidecar');
  const bare = measures.find('guard', 'cpu', 'bare-node');
  if (!own || !bare) throw new Error('nothing was measured');
  return medianRatio(own, bare);
}

async function warmUp({ stage, actors }: Cast): Promise<void> {
  const job = WORKLOAD.job(actors.map(({ target }) => target)) as JobOf<'requests'>;
  const endAt = performance.now() + WARM_UP_LIMIT_MS;
  let fewest = 0;
  while (fewest < WARM_UP_REQUESTS && performance.now() < endAt) {
    const results = await stage.run<'requests'>(job);
    fewest += Math.min(...results.map((one) => one.requests));
  }
}
