import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Measures } from './measures.ts';
import { MEBIBYTE } from './observe.ts';
import {
  type Emulated,
  isReady,
  PROGRAM,
  programOf,
  sidecarCommand,
  UNBUNDLED,
} from './peers/sidecar.ts';
import { memory } from './process-stats.ts';
import { nowMicros } from './protocol.ts';
import type { Actor, Stage } from './stage.ts';

const ROUNDS = 9;
/** V8 gives back what starting took once it has been idle for eight seconds. */
const SETTLE_MS = 20_000;

/** From the start of the process to its first words, and to the first request it could serve. */
export async function measureStartup(
  stage: Stage,
  emulated: Emulated,
  measures: Measures,
  baseline: string | null,
): Promise<void> {
  for (let round = -1; round < ROUNDS; round++) {
    const node = await startNode();
    if (round >= 0) measures.add('f', 'node', { 'node -e 0': [node, 'ms'] });
    for (const [peer, program] of builds(baseline, round)) {
      const { listening, ready } = await startSidecar(stage, emulated, program);
      if (round < 0) continue;
      measures.add('f', peer, { listening: [listening, 'ms'], ready: [ready, 'ms'] });
    }
  }
}

/** The builds to start in a round; their order changes with it. */
function builds(baseline: string | null, round: number): Build[] {
  const all: Build[] = [
    ['sidecar', PROGRAM],
    ['unbundled', UNBUNDLED],
  ];
  if (baseline !== null) all.push(['baseline', programOf(baseline)]);
  const first = (round + 1) % all.length;
  return [...all.slice(first), ...all.slice(0, first)];
}

type Build = ['sidecar' | 'unbundled' | 'baseline', string];

async function startNode(): Promise<number> {
  const startedAt = nowMicros();
  const child = spawn(process.execPath, ['-e', '0'], { stdio: 'ignore' });
  await once(child, 'exit');
  return (nowMicros() - startedAt) / 1000;
}

async function startSidecar(
  { place }: Stage,
  emulated: Emulated,
  program: string,
): Promise<{ listening: number; ready: number }> {
  const { args, env } = sidecarCommand(place, emulated, program);
  const startedAt = nowMicros();
  const child = spawn(process.execPath, args, { env, stdio: ['ignore', 'pipe', 'inherit'] });
  const exit = once(child, 'exit');
  const port = await new Promise<number>((resolve, reject) => {
    let text = '';
    child.stdout.setEncoding('utf8').on('data', (chunk: string) => {
      text += chunk;
      const line = text.split('\n').find((candidate) => candidate.includes('"listening"'));
      if (line) resolve((JSON.parse(line) as { port: number }).port);
    });
    child.once('exit', () => reject(new Error(`the sidecar did not start: ${text}`)));
  });
  const listening = (nowMicros() - startedAt) / 1000;
  while (!(await isReady(port))) await sleep(1);
  const ready = (nowMicros() - startedAt) / 1000;
  child.kill('SIGTERM');
  await exit;
  return { listening, ready };
}

/** Memory of peers that have been started and asked once, and then had nothing to do. */
export async function measureIdle(actors: readonly Actor[], measures: Measures): Promise<void> {
  await sleep(SETTLE_MS);
  for (const { peer, pid } of actors) {
    if (pid === null) continue;
    measures.add('g', peer.name, { 'idle memory': [memory(pid).resident / MEBIBYTE, 'MiB'] });
  }
}
