import { setTimeout as sleep } from 'node:timers/promises';
import type { Cast } from './cast.ts';
import type { Measures } from './measures.ts';
import { watch } from './observe.ts';
import { cpuSeconds } from './process-stats.ts';
import type { Actor } from './stage.ts';
import type { Workload } from './workloads.ts';

/**
 * Runs a workload on every peer that takes it: warm-up, then interleaved rounds.
 * @param start how often the peers were started before; the order of turns goes on from there
 * @param isLate asked before each round; when it is, one round that counts must do
 */
export async function runWorkload(
  cast: Cast,
  workload: Workload,
  measures: Measures,
  { start = 0, isLate = () => false }: { start?: number; isLate?: () => boolean } = {},
): Promise<void> {
  if (workload.fresh === 'workload') await cast.restart();
  for (let round = -workload.warmUps; round < workload.rounds; round++) {
    if (isLate()) {
      if (round > 0) break;
      round = 0;
    }
    if (workload.fresh === 'round') await cast.restart();
    const taking = cast.actors.filter(({ peer }) => workload.takes(peer));
    const groups = workload.together
      ? [taking]
      : rotated(taking, round + start * workload.rounds).map((actor) => [actor]);
    for (const group of groups) {
      await (workload.lingers ? quiet(cast.actors) : sleep(PAUSE_MS));
      const usages = group.map((actor) => watch(actor.pid));
      const result = await cast.stage.run(workload.job(group.map(({ target }) => target)));
      const results = Array.isArray(result) ? result : [result];
      if (round < 0) continue;
      for (const [i, { peer }] of group.entries()) {
        const figures = workload.figures(results[i] as never, usages[i]?.() ?? null);
        measures.add(workload.id, peer.name, figures);
      }
    }
  }
}

/** For what a collector still does in the background. */
const PAUSE_MS = 50;
const LOOK_MS = 100;
const LOOKS = 30;
/** Seconds of processor time that an idle peer may use in one look: one clock tick. */
const IDLE_SECONDS = 0.01;

/** Waits, bounded, until no peer is at work any more on what its client has left behind. */
async function quiet(actors: readonly Actor[]): Promise<void> {
  const used = () => actors.map(({ pid }) => (pid === null ? 0 : cpuSeconds(pid)));
  let before = used();
  for (let look = 0; look < LOOKS; look++) {
    await sleep(LOOK_MS);
    const now = used();
    const isQuiet = now.every((seconds, i) => seconds - (before[i] ?? 0) <= IDLE_SECONDS);
    if (isQuiet) return;
    before = now;
  }
}

/**
 * No peer always comes first, or always after the same one: the next begins at every other round, and
 * each order is followed by its mirror image.
 */
function rotated<T>(list: readonly T[], round: number): T[] {
  const at = (Math.floor(round / 2) + list.length) % list.length;
  const rotated = [...list.slice(at), ...list.slice(0, at)];
  return round % 2 === 0 ? rotated : rotated.reverse();
}
