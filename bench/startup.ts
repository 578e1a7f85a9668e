import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Measures, Series } from './measures.ts';
import { MEBIBYTE } from './observe.ts';
import type { Others } from './peers/find.ts';
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
import type { Figures } from './workloads.ts';

const ROUNDS = 9;
/** V8 gives back what starting took once it has been idle for eight seconds. */
const SETTLE_MS = 20_000;

/** From the start of the process to its first words, and to the first request it could serve. */
export async function measureStartup(
  stage: Stage,
  emulated: Emulated,
  measures: Measures,
  others: Others,
): Promise<void> {
  for (let round = -1; round < ROUNDS; round++) {
    const node = await startNode(process.execPath);
    if (round >= 0) measures.add('f', 'node', { 'node -e 0': [node, 'ms'] });
    for (const program of programs(others, round)) {
      const figures = await startProgram(stage, emulated, program);
      if (round >= 0) measures.add('f', program.peer, figures);
    }
  }
}

interface Program {
  peer: Series['peer'];
  node: string;
  program: string;
}

/** What to start in a round; the order changes with it. */
function programs({ baseline, nodes }: Others, round: number): Program[] {
  const node = process.execPath;
  const all: Program[] = [
    { peer: 'sidecar', node, program: PROGRAM },
    { peer: 'unbundled', node, program: UNBUNDLED },
  ];
  if (baseline !== null) all.push({ peer: 'baseline', node, program: programOf(baseline) });
  for (const { name, program } of nodes) all.push({ peer: name, node: program, program: PROGRAM });
  const first = (round + 1) % all.length;
  return [...all.slice(first), ...all.slice(0, first)];
}

async function startNode(node: string): Promise<number> {
  const startedAt = nowMicros();
  const child = spawn(node, ['-e', '0'], { stdio: 'ignore' });
  await once(child, 'exit');
  return (nowMicros() - startedAt) / 1000;
}

async function startProgram(
  stage: Stage,
  emulated: Emulated,
  { node, program }: Program,
): Promise<Figures> {
  const { listening, ready } = await startSidecar(stage, emulated, node, program);
  const bare: Figures =
    node === process.execPath ? {} : { 'node -e 0': [await startNode(node), 'ms'] };
  return { listening: [listening, 'ms'], ready: [ready, 'ms'], ...bare };
}

async function startSidecar(
  { place }: Stage,
  emulated: Emulated,
  node: string,
  program: string,
): Promise<{ listening: number; ready: number }> {
  const { args, env } = sidecarCommand(place, emulated, program);
  const startedAt = nowMicros();
  const child = spawn(node, args, { env, stdio: ['ignore', 'pipe', 'inherit'] });
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
