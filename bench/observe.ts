import { cpuSeconds, memory, resetPeak } from './process-stats.ts';

export const MEBIBYTE = 1024 * 1024;

/** What a process used during one job. */
export interface Usage {
  cpuSeconds: number;
  /** Resident when the job began, and at most while it ran. */
  residentBefore: number;
  peakBytes: number;
}

/** Begins to watch a process; null is no process. @returns what it used until now */
export function watch(pid: number | null): () => Usage | null {
  if (pid === null) return () => null;
  resetPeak(pid);
  const [cpuBefore, before] = [cpuSeconds(pid), memory(pid)];
  return () => ({
    cpuSeconds: cpuSeconds(pid) - cpuBefore,
    residentBefore: before.resident,
    peakBytes: memory(pid).peak,
  });
}
