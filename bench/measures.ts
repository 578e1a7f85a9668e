import type { PeerName } from './peers/peer.ts';
import { quantile } from './protocol.ts';

/** One figure of one peer in one workload, a sample a round. */
export interface Series {
  workload: string;
  measure: string;
  unit: string;
  peer: PeerName | 'node' | 'unbundled';
  samples: number[];
}

/** What a run has found so far. */
export class Measures {
  readonly series: Series[];

  constructor(series: Series[] = []) {
    this.series = series;
  }

  add(workload: string, peer: Series['peer'], figures: Record<string, [number, string]>): void {
    for (const [measure, [value, unit]] of Object.entries(figures)) {
      const known = this.find(workload, measure, peer);
      if (known) known.samples.push(value);
      else this.series.push({ workload, measure, unit, peer, samples: [value] });
    }
  }

  find(workload: string, measure: string, peer: Series['peer']): Series | undefined {
    return this.series.find(
      (one) => one.workload === workload && one.measure === measure && one.peer === peer,
    );
  }
}

export function median(samples: readonly number[]): number {
  const sorted = [...samples].sort((a, b) => a - b);
  const [low, high] = [quantile(sorted, 0.5), sorted[Math.floor(sorted.length / 2)]];
  return sorted.length % 2 === 1 ? low : (low + (high ?? low)) / 2;
}

/** Median of the ratios round by round, which a machine that changes its speed does not disturb. */
export function medianRatio(a: Series, b: Series): number {
  const rounds = Math.min(a.samples.length, b.samples.length);
  const ratios = Array.from(
    { length: rounds },
    (_, i) => Number(a.samples[i]) / Number(b.samples[i]),
  );
  return median(ratios);
}
