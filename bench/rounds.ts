import type { Cast } from './cast.ts';
import type { Measures } from './measures.ts';
import { watch } from './observe.ts';
import type { Workload } from './workloads.ts';

/**
 * Runs a workload on every peer that takes it: warm-up, then interleaved rounds.
 * @param isLate asked before each round; when it is, one round that counts must do
 */
export async function runWorkload(
  cast: Cast,
  workload: Workload,
  measures: Measures,
  isLate: () => boolean = () => false,
): Promise<void> {
  if (workload.fresh === 'workload') await cast.restart();
  for (let round = -workload.warmUps; round < workload.rounds; round++) {
    if (isLate()) {
      if (round > 0) break;
      round = 0;
    }
    if (workload.fresh === 'round') await cast.restart();
    const taking = cast.actors.filter(({ peer }) => workload.takes(peer));
    const groups = workload.together ? [taking] : rotate(taking, round).map((actor) => [actor]);
    for (const group of groups) {
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

/** No peer always comes first, or always after the same one's warmth. */
function rotate<T>(list: readonly T[], by: number): T[] {
  const at = (by + list.length) % list.length;
  return [...list.slice(at), ...list.slice(0, at)];
}
