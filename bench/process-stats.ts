import { readdirSync, readFileSync, writeFileSync } from 'node:fs';

/** Seconds of CPU that a process has used, all its threads that still run, user and system. */
export function cpuSeconds(pid: number): number {
  // In nanoseconds, where /proc/PID/stat counts ticks of 10 ms.
  const threads = readdirSync(`/proc/${pid}/task`).map((thread) => cpuNanoseconds(pid, thread));
  return threads.reduce((sum, ns) => sum + ns, 0) / 1e9;
}

function cpuNanoseconds(pid: number, thread: string): number {
  try {
    return Number(readFileSync(`/proc/${pid}/task/${thread}/schedstat`, 'utf8').split(' ', 1)[0]);
  } catch {
    // It ended between the listing and the reading.
    return 0;
  }
}

export interface Memory {
  /** Resident now and at most since {@link resetPeak}; bytes. */
  resident: number;
  peak: number;
}

export function memory(pid: number): Memory {
  const status = readFileSync(`/proc/${pid}/status`, 'utf8');
  const bytes = (name: string) =>
    Number(new RegExp(`^${name}:\\s+(\\d+) kB`, 'm').exec(status)?.[1] ?? Number.NaN) * 1024;
  return { resident: bytes('VmRSS'), peak: bytes('VmHWM') };
}

/** Makes the present size the peak (proc(5), `clear_refs`). */
export function resetPeak(pid: number): void {
  writeFileSync(`/proc/${pid}/clear_refs`, '5');
}

/** The process that does the work: the last of the descendants (nginx's worker, a wrapper's child). */
export function workerOf(pid: number): number {
  const child = readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .map(Number)
    .find((candidate) => parentOf(candidate) === pid);
  return child === undefined ? pid : workerOf(child);
}

function parentOf(pid: number): number | null {
  try {
    return Number(statFields(pid)[1]);
  } catch {
    // It ended between the listing and the reading.
    return null;
  }
}

/** Fields of /proc/PID/stat after the name, which may hold anything. */
function statFields(pid: number): string[] {
  const text = readFileSync(`/proc/${pid}/stat`, 'utf8');
  return text.slice(text.lastIndexOf(')') + 2).split(' ');
}
