import type { Series } from '../measures.ts';
import type { MissingPeer } from '../peers/peer.ts';

/** Everything that one run found; what `results.json` holds. */
export interface Report {
  date: string;
  /** Length of the run. */
  seconds: number;
  /** Processor, number of processors, memory, kernel. */
  machine: string;
  peers: { name: string; description: string }[];
  missing: MissingPeer[];
  /** By workload. */
  titles: Record<string, string>;
  series: Series[];
}
