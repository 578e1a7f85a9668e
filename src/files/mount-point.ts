import { realpath } from 'node:fs/promises';
import { readTextFile } from './read-text.ts';

/**
 * Whether something is mounted at just this path, as with a single file that is bound into a
 * container. Such a file cannot be replaced by a rename (EBUSY). Only Linux tells; false elsewhere.
 */
export async function isMountPoint(path: string): Promise<boolean> {
  try {
    const mounts = await readTextFile('/proc/self/mountinfo', { maxBytes: 16 * 1024 * 1024 });
    const real = await realpath(path);
    return mounts.split('\n').some((line) => mountedAt(line) === real);
  } catch {
    return false;
  }
}

/** Field 5 of a line, where space, tab, line feed and backslash are octal (proc_pid_mountinfo(5)). */
function mountedAt(line: string): string {
  const field = line.split(' ', 5)[4] ?? '';
  return field.replace(/\\([0-7]{3})/g, (_, octal: string) =>
    String.fromCharCode(Number.parseInt(octal, 8)),
  );
}
