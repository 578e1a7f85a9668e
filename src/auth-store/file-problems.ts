import type { Stats } from 'node:fs';
import { access, constants, stat } from 'node:fs/promises';
import { dirname } from 'node:path';
import { isMountPoint } from '../files/mount-point.ts';
import { ownUser } from '../files/ownership.ts';

/** Something about a stored file that works today and may cost the credential later. */
export interface FileProblem {
  /** Follows the path of the file in a sentence. */
  problem: string;
  remedy: string;
}

/**
 * What is wrong with the file of a credential, its owner and its folder. A start warns of each, and
 * `doctor` shows it. Empty when there is no file.
 */
export async function problemsOf(path: string): Promise<FileProblem[]> {
  const info = await stat(path).catch(() => null);
  if (!info) return [];
  const found: FileProblem[] = [];
  const add = (problem: string, remedy: string) => found.push({ problem, remedy });
  if ((info.mode & 0o077) !== 0) add('can be read by other users', `run: chmod 600 ${path}`);
  if (info.nlink > 1) {
    add('has hard links; the others keep the old tokens when it is written', 'remove them');
  }
  const folder = await stat(dirname(path)).catch(() => null);
  if (folder) found.push(...ownerProblems(info, folder, ownUser()));
  if (await isMountPoint(path)) {
    add(
      'is mounted by itself and cannot be replaced, so it is written in place; a crash in the middle could damage it',
      'mount its folder instead',
    );
  } else if (!(await isWritable(dirname(path)))) {
    add(
      (await isWritable(path))
        ? 'is in a folder that cannot be written, so it is written in place and without a lock'
        : 'cannot be replaced, so new tokens get lost',
      'make its folder writable',
    );
  }
  return found;
}

/** @param own our user id; undefined on systems that have none */
export function ownerProblems(
  file: Pick<Stats, 'uid'>,
  folder: Pick<Stats, 'uid'>,
  own: number | undefined,
): FileProblem[] {
  if (own === undefined) return [];
  const found: FileProblem[] = [];
  const remedy = 'run this as the owner of the folder, or give the file to that user';
  if (file.uid !== folder.uid) {
    const problem = `belongs to user ${file.uid} and its folder to user ${folder.uid}`;
    found.push({ problem, remedy });
  }
  // Root reads and writes everything, and gives what it makes to the owner of the folder.
  if (own !== 0 && file.uid !== own) {
    found.push({ problem: `belongs to user ${file.uid}, and this is user ${own}`, remedy });
  }
  return found;
}

function isWritable(path: string): Promise<boolean> {
  return access(path, constants.W_OK).then(
    () => true,
    () => false,
  );
}
