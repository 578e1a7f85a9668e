import { fork } from 'node:child_process';
import { once } from 'node:events';
import { cpus, release, totalmem } from 'node:os';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { Cast } from './cast.ts';
import type { CredentialPath } from './credential-path.ts';
import { curveTitles, measureCurve, tooFewFiles } from './curve.ts';
import { distanceId, measureDistance } from './distance.ts';
import { Measures } from './measures.ts';
import { findPeers, type Others } from './peers/find.ts';
import type { Peer } from './peers/peer.ts';
import { readerPeers } from './peers/readers.ts';
import { otherNode, startEmulator } from './peers/sidecar.ts';
import { DISTANCES_MS } from './relay.ts';
import type { Report } from './report/report.ts';
import { markdown } from './report/table.ts';
import { writeReport } from './report/write.ts';
import { runWorkload } from './rounds.ts';
import { Stage } from './stage.ts';
import { measureIdle, measureStartup } from './startup.ts';
import type { UsageReading } from './usage-reading.ts';
import { TLS_WORKLOADS, USAGE_WORKLOADS, WORKLOADS, type Workload } from './workloads.ts';

// Everything side by side: `npm run bench`. `-- --only a16,c` and `-- --peers direct,sidecar` measure
// a part and write nothing; `-- --baseline DIR` adds another build of the sidecar, DIR/dist/cli.js, and
// `-- --nodes PATH,PATH` the sidecar on other Nodes.

/** Sidecars that take part where what sets them apart counts. */
const VARIANTS: readonly string[] = ['sidecar-cafile'];

const CURVES = [
  { id: 'curve', prefix: '', rounds: 2, isTls: false },
  { id: 'tls-curve', prefix: 'TLS upstream: ', rounds: 1, isTls: true },
];

/**
 * How often the peers are started for the workloads that are short. Two processes of one program
 * differ by up to 15 % in what a request costs them, for as long as they run (measured).
 */
const STARTS = 3;
/** What is compared there is a few percent. */
const USAGE_STARTS = 4;

/** A whole run takes twenty-five minutes. */
const LIMIT_MS = 2_700_000;
/** On a slow machine the workloads that begin after this get one round each. */
const LATE_MS = 1_500_000;

const { values } = parseArgs({
  options: {
    only: { type: 'string' },
    peers: { type: 'string' },
    baseline: { type: 'string' },
    nodes: { type: 'string' },
  },
});
const others: Others = {
  baseline: values.baseline ?? null,
  nodes: values.nodes?.split(',').map(otherNode) ?? [],
};
const only = values.only?.split(',') ?? null;
const wanted = (id: string) => only === null || only.includes(id);
const isWhole = Object.keys(values).length === 0;
const startedAt = performance.now();
const isLate = () => performance.now() - startedAt > LATE_MS;
const limit = setTimeout(() => {
  process.stderr.write(`bench: not done in ${LIMIT_MS / 1000} s\n`);
  process.exit(1);
}, LIMIT_MS);

const measures = new Measures();
const stage = await Stage.open();
try {
  const emulator = await startEmulator(stage);
  const found = findPeers(emulator, values.peers?.split(',') ?? null, others);
  for (const { name, reason } of found.missing) say(`${name} is left out: ${reason}`);
  if (wanted('h')) await measureCredentialPath();
  if (wanted('u')) await measureUsageReading();
  if (wanted('f')) await measureStartup(stage, emulator, measures, others);
  const inPlain = found.peers.filter(({ name }) => !VARIANTS.includes(name));
  const cast = await Cast.start(stage, inPlain);
  if (wanted('g')) {
    await measureIdle(cast.actors, measures);
    // V8 has shrunk the heaps of those that run on it, which slows them down for good.
    await cast.restart();
  }
  await perform(cast, WORKLOADS, STARTS);
  await cast.stop();
  if (TLS_WORKLOADS.some(({ id }) => wanted(id))) {
    const overTls = found.peers.filter(({ speaksTls }) => speaksTls);
    const overTlsCast = await Cast.start(stage, overTls, stage.tlsPlace);
    await perform(overTlsCast, TLS_WORKLOADS, STARTS);
    await overTlsCast.stop();
  }
  if (wanted('distance')) await measureDistance(stage, emulator, measures);
  await measureCurves(found.peers);
  if (USAGE_WORKLOADS.some(({ id }) => wanted(id))) {
    const readers = readerPeers(emulator);
    const readersCast = await Cast.start(stage, readers);
    await perform(readersCast, USAGE_WORKLOADS, USAGE_STARTS);
    await readersCast.stop();
    found.peers.push(...readers.filter(({ name }) => name !== 'sidecar'));
  }
  finish(found);
} finally {
  await stage.close();
  clearTimeout(limit);
}

async function perform(cast: Cast, workloads: readonly Workload[], starts: number): Promise<void> {
  const chosen = workloads.filter(({ id }) => wanted(id));
  const often = chosen.filter(({ once: isOnce }) => !isOnce);
  if (often.length === 0 && chosen.length > 0) await cast.warmUp();
  for (let start = 0; often.length > 0 && start < starts && !(start > 0 && isLate()); start++) {
    if (start > 0) await cast.restart();
    await cast.warmUp();
    for (const workload of often) {
      say(`(${workload.id}) ${workload.title}, start ${start + 1} of ${starts}`);
      await runWorkload(cast, workload, measures, { start, isLate });
    }
  }
  for (const workload of chosen.filter(({ once: isOnce }) => isOnce)) {
    say(`(${workload.id}) ${workload.title}`);
    await runWorkload(cast, workload, measures, { isLate });
  }
}

async function measureCurves(peers: readonly Peer[]): Promise<void> {
  const chosen = CURVES.filter(({ id }) => wanted(id));
  const reason = chosen.length > 0 ? tooFewFiles() : null;
  if (reason !== null) return say(reason);
  for (const curve of chosen) {
    say(`(${curve.id}) 100 to 3,000 streams`);
    const rounds = isLate() ? 1 : curve.rounds;
    await measureCurve(stage, peers, curve.isTls ? stage.tlsPlace : stage.place, measures, {
      ...curve,
      rounds,
    });
  }
}

async function measureCredentialPath(): Promise<void> {
  const program = fileURLToPath(new URL('./credential-path.js', import.meta.url));
  const [path] = (await once(fork(program, { execArgv: [] }), 'message')) as [CredentialPath];
  for (const time of path.sameSecond) measures.add('h', 'sidecar', { 'same second': [time, 'µs'] });
  for (const time of path.signature) measures.add('h', 'node', { 'signature alone': [time, 'µs'] });
  for (const time of path.newSecond) measures.add('h', 'sidecar', { 'new second': [time, 'µs'] });
}

async function measureUsageReading(): Promise<void> {
  const program = fileURLToPath(new URL('./usage-reading.js', import.meta.url));
  const [reading] = (await once(fork(program, { execArgv: [] }), 'message')) as [UsageReading];
  const names = {
    ...{ event: 'small event', packed: 'small event among 200 in a packet' },
    ...{ end: 'event of 30 KB that ends a turn', message: 'message of a WebSocket' },
    ...{ compressed: 'compressed message', inflate: 'zlib alone, of a compressed message' },
  };
  for (const [kind, name] of Object.entries(names) as [keyof UsageReading, string][]) {
    for (const time of reading[kind]) measures.add('u', 'sidecar', { [name]: [time, 'µs'] });
  }
}

function finish({ peers, missing }: ReturnType<typeof findPeers>): void {
  const memory = `${Math.round(totalmem() / 2 ** 30)} GiB`;
  const report: Report = {
    date: new Date().toISOString().slice(0, 10),
    seconds: (performance.now() - startedAt) / 1000,
    machine: `${cpus()[0]?.model.trim()}, ${cpus().length} processors, ${memory}, ${release()}`,
    peers: peers.map(({ name, description }) => ({ name, description })),
    missing,
    titles: {
      ...Object.fromEntries(
        [...WORKLOADS, ...TLS_WORKLOADS, ...USAGE_WORKLOADS].map(({ id, title }) => [
          id,
          `(${id}) ${title}`,
        ]),
      ),
      ...Object.fromEntries(DISTANCES_MS.map(distanceTitle)),
      ...Object.fromEntries(CURVES.flatMap(({ id, prefix }) => curveTitles(id, prefix))),
      f: '(f) cold start',
      g: '(g) memory at rest',
      h: '(h) credential path of one request',
      u: '(u) reading usage, processor time',
    },
    series: measures.series,
  };
  process.stdout.write(`${markdown(report)}\n`);
  // A part of a run must not pass for a whole one.
  if (isWhole) writeReport(report);
}

function distanceTitle(delayMs: number): [string, string] {
  const title = `a client that has just started, upstream over TLS ${delayMs} ms each way`;
  return [distanceId(delayMs), title];
}

function say(line: string): void {
  process.stderr.write(`${line}\n`);
}
