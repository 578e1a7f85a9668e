import { randomBytes } from 'node:crypto';
import type { Stats } from 'node:fs';
import { open, readdir, readlink, realpath, rename, stat, unlink } from 'node:fs/promises';
import { basename, dirname, join, resolve } from 'node:path';
import { type FileState, stateOf } from './file-state.ts';

/** A temporary file older than this was left behind by a process that died. */
const LEFTOVER_MS = 60_000;

/**
 * Writes a file so that a reader sees the old or the new content, never a part: temporary file in
 * the same folder, mode 0600, fsync, rename, fsync of the folder. A symbolic link is followed, so
 * that a linked auth.json stays a link. A hard link is cut on purpose: another name keeps the old
 * content, and never shows new tokens.
 * @param like mode and owner to use in place of 0600 and our own
 * @returns the state of the file as we wrote it, whatever others have done to it since
 */
export async function replaceFile(path: string, text: string, like?: Stats): Promise<FileState> {
  const target = await linkTarget(path);
  const folder = dirname(target);
  const temporary = join(folder, `.${basename(target)}.${randomBytes(6).toString('hex')}`);
  let written: FileState;
  try {
    written = await writeTemporary(temporary, text, like);
    await rename(temporary, target);
  } catch (error) {
    await unlink(temporary).catch(() => undefined);
    throw error;
  }
  await syncFolder(folder);
  await removeLeftovers(folder, basename(target));
  return written;
}

async function writeTemporary(path: string, text: string, like?: Stats): Promise<FileState> {
  const handle = await open(path, 'wx', 0o600);
  try {
    if (like) await handle.chown(like.uid, like.gid);
    if (like) await handle.chmod(like.mode & 0o777);
    await handle.writeFile(text);
    await handle.sync();
    return stateOf(await handle.stat({ bigint: true }));
  } finally {
    await handle.close();
  }
}

/** Where a chain of symbolic links ends, even when nothing is there yet. */
export async function linkTarget(path: string): Promise<string> {
  try {
    return await realpath(path);
  } catch {
    const link = await readlink(path).catch(() => null);
    return link === null ? path : resolve(dirname(path), link);
  }
}

/** A killed process may leave its temporary file behind, with tokens in it. */
async function removeLeftovers(folder: string, name: string): Promise<void> {
  const names = await readdir(folder).catch(() => []);
  for (const candidate of names.filter((other) => other.startsWith(`.${name}.`))) {
    const path = join(folder, candidate);
    const info = await stat(path).catch(() => null);
    const isLeftover = /\.[0-9a-f]{12}$/.test(candidate) && info !== null;
    if (isLeftover && Date.now() - info.mtimeMs > LEFTOVER_MS) {
      await unlink(path).catch(() => undefined);
    }
  }
}

async function syncFolder(folder: string): Promise<void> {
  const handle = await open(folder, 'r');
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}
