import { readFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Measures } from './measures.ts';
import { MEBIBYTE } from './observe.ts';
import type { Peer, Place } from './peers/peer.ts';
import { cpuSeconds, memory } from './process-stats.ts';
import type { Actor, Stage } from './stage.ts';

/** Streams that are open at once, one step after the other in the same process. */
const STEPS = [100, 300, 1000, 3000] as const;
/** Between two events of a stream: slow enough that no peer needs a whole processor. */
const PAUSE_MS = 500;
const RAMP_MS_A_STREAM = 1.5;
/** Until what opening them needed is done. */
const SETTLE_MS = 500;
const WINDOW_MS = 3_000;
const OPEN_LIMIT_MS = 20_000;
const POLL_MS = 50;
/** Two sockets a stream, and some for the rest. */
const FILES = 2 * 3000 + 500;

const PEERS: readonly string[] = ['codex', 'bare-node', 'sidecar', 'baseline'];

/** What a process had used and held at one moment, with the events of the upstream until then. */
interface Look {
  cpuSeconds: number;
  events: number;
  at: number;
}

/** One step of the curve. */
interface Step {
  streams: number;
  /** Processor seconds a second, and events a second. */
  cpu: number;
  events: number;
  /** Resident at its end. */
  bytes: number;
}

/** Who takes part. codex holds events until its buffer is full, which saves it a part of the work. */
export function takesCurve({ name }: Peer): boolean {
  return PEERS.includes(name) || name.startsWith('node-');
}

/**
 * Processor time an event and memory a stream while 100, 300, 1,000 and 3,000 streams are open, and the
 * slopes from 1,000 to 3,000, which leave out what a process needs without any stream.
 * @param id of the workload; its steps are `ID-STREAMS`
 */
export async function measureCurve(
  stage: Stage,
  peers: readonly Peer[],
  place: Place,
  measures: Measures,
  { id, rounds }: { id: string; rounds: number },
): Promise<void> {
  const taking = peers.filter(takesCurve);
  for (let round = 0; round < rounds; round++) {
    for (const peer of round % 2 === 0 ? taking : taking.toReversed()) {
      const actor = await stage.start(peer, place);
      const steps: Step[] = [];
      for (const streams of STEPS) steps.push(await climb(stage, actor, streams, steps.at(-1)));
      await stage.run({ kind: 'release' });
      await stage.stop(actor);
      await upstreamHas(stage, 0);
      note(id, peer, steps, measures);
    }
  }
}

/** Why this machine cannot open that many; null where it can. */
export function tooFewFiles(): string | null {
  const limits = readFileSync('/proc/self/limits', 'utf8');
  const files = /^Max open files +(\d+)/m.exec(limits)?.[1];
  // Node raises the soft limit to the hard one, which its children inherit.
  if (files === undefined || Number(files) >= FILES) return null;
  return `the curve is left out: it needs ${FILES} open files, and the limit is ${files} (ulimit -n)`;
}

async function climb(
  stage: Stage,
  { target, pid }: Actor,
  streams: number,
  last: Step | undefined,
): Promise<Step> {
  if (pid === null) throw new Error('a peer without a process has no curve');
  const more = streams - (last?.streams ?? 0);
  const rampMs = Math.max(PAUSE_MS, more * RAMP_MS_A_STREAM);
  const response = `paced 1000000 ${PAUSE_MS}` as const;
  await stage.run<'hold'>({ kind: 'hold', target, response, streams: more, rampMs });
  await upstreamHas(stage, streams);
  await sleep(SETTLE_MS);
  const before = await look(stage, pid);
  await sleep(WINDOW_MS);
  const after = await look(stage, pid);
  const seconds = (after.at - before.at) / 1000;
  return {
    streams,
    cpu: (after.cpuSeconds - before.cpuSeconds) / seconds,
    events: (after.events - before.events) / seconds,
    bytes: memory(pid).resident,
  };
}

async function look(stage: Stage, pid: number): Promise<Look> {
  const { events } = await stage.upstreamCounts();
  return { cpuSeconds: cpuSeconds(pid), events, at: performance.now() };
}

/** Waits until as many streams arrive at the upstream. */
async function upstreamHas(stage: Stage, streams: number): Promise<void> {
  const limit = performance.now() + OPEN_LIMIT_MS;
  let open = Number.NaN;
  while (performance.now() < limit) {
    ({ streams: open } = await stage.upstreamCounts());
    if (open === streams) return;
    await sleep(POLL_MS);
  }
  throw new Error(`${open} streams at the upstream instead of ${streams}`);
}

function note(id: string, { name }: Peer, steps: readonly Step[], measures: Measures): void {
  for (const { streams, cpu, events, bytes } of steps) {
    measures.add(`${id}-${streams}`, name, {
      cpu: [(cpu / events) * 1e6, 'µs/event'],
      memory: [bytes / MEBIBYTE, 'MiB'],
    });
  }
  const [from, to] = steps.slice(-2);
  if (!from || !to) return;
  measures.add(id, name, {
    'cpu slope': [((to.cpu - from.cpu) / (to.events - from.events)) * 1e6, 'µs/event'],
    'memory slope': [(to.bytes - from.bytes) / (to.streams - from.streams) / 1024, 'KiB/stream'],
  });
}

/** Titles by workload. */
export function curveTitles(id: string, prefix: string): [string, string][] {
  const what = 'streams open, 2 events a second each';
  return [
    ...STEPS.map((streams): [string, string] => [
      `${id}-${streams}`,
      `${prefix}${streams.toLocaleString('en-US')} ${what}`,
    ]),
    [id, `${prefix}from 1,000 to 3,000 ${what}: what one more costs`],
  ];
}
