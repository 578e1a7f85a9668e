import type { Stats } from 'node:fs';
import { chown, type FileHandle, mkdir, stat } from 'node:fs/promises';
import { dirname } from 'node:path';
import { errnoOf } from '../base/errors.ts';

type Owner = Pick<Stats, 'uid' | 'gid'>;

/**
 * Gives a file that we made to whoever owns its folder. Only root makes files for somebody else: for
 * everybody else this does nothing. Without it a command run as root would take a file away from the
 * user whose folder it is in.
 */
export async function giveToOwnerOfFolder(path: string, handle: FileHandle): Promise<void> {
  const owner = await foreignOwnerOf(dirname(path));
  if (owner) await handle.chown(owner.uid, owner.gid);
}

/**
 * Makes a folder with its parents, mode 0700; each belongs to whoever owns the folder that it was
 * made in. Does nothing when it is there.
 */
export async function makeFolder(path: string): Promise<void> {
  try {
    await makeOne(path);
  } catch (error) {
    const parent = dirname(path);
    if (errnoOf(error) !== 'ENOENT' || parent === path) throw error;
    await makeFolder(parent);
    await makeOne(path);
  }
}

// Not with `recursive`: below /proc, Node 20 would try again and again for ever (measured).
async function makeOne(path: string): Promise<void> {
  try {
    await mkdir(path, { mode: 0o700 });
  } catch (error) {
    const isThere = errnoOf(error) === 'EEXIST' && (await stat(path)).isDirectory();
    if (!isThere) throw error;
    return;
  }
  const owner = await foreignOwnerOf(dirname(path));
  if (owner) await chown(path, owner.uid, owner.gid);
}

/** The user id that files of ours get; undefined on systems that have none. */
export function ownUser(): number | undefined {
  return process.geteuid?.();
}

async function foreignOwnerOf(path: string): Promise<Owner | null> {
  if (ownUser() !== 0) return null;
  const info = await stat(path);
  return info.uid === 0 && info.gid === 0 ? null : info;
}
