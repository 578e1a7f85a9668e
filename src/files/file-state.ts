import type { BigIntStats } from 'node:fs';
import { stat } from 'node:fs/promises';

/** Tells one content of a file from another without reading it; compare two with `===`. */
export type FileState = string;

/** What every change of the content changes, and no rename does. */
export function stateOf({ dev, ino, size, mtimeNs }: BigIntStats): FileState {
  return [dev, ino, size, mtimeNs].join(':');
}

/** The state of the file at `path`, links followed; `absent` when it cannot be looked at. */
export async function readState(path: string): Promise<FileState> {
  try {
    return stateOf(await stat(path, { bigint: true }));
  } catch {
    return 'absent';
  }
}
