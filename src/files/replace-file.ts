import { randomBytes } from 'node:crypto';
import type { Stats } from 'node:fs';
import {
  access,
  constants,
  open,
  readdir,
  readlink,
  realpath,
  rename,
  stat,
  unlink,
} from 'node:fs/promises';
import { basename, dirname, join, resolve } from 'node:path';
import { errnoOf } from '../base/errors.ts';
import { type FileState, stateOf } from './file-state.ts';
import { giveToOwnerOfFolder, ownUser } from './ownership.ts';

/** A temporary file older than this was left behind by a process that died. */
const LEFTOVER_MS = 60_000;

/**
 * Writes a file so that a reader sees the old or the new content, never a part: temporary file in
 * the same folder, fsync, rename, fsync of the folder. A symbolic link is followed, so
 * that a linked auth.json stays a link. A hard link is cut on purpose: another name keeps the old
 * content, and never shows new tokens. A file that is mounted by itself, or whose folder cannot be
 * written, is written in place.
 * @param like mode and owner to use; otherwise the owner stays what it was, or is that of the folder
 * @param mode of which the umask leaves the mode, unless there is `like`
 * @returns the state of the file as we wrote it, whatever others have done to it since
 */
export async function replaceFile(
  path: string,
  text: string,
  like?: Stats,
  mode = 0o600,
): Promise<FileState> {
  const target = await linkTarget(path);
  const folder = dirname(target);
  const temporary = join(folder, `.${basename(target)}.${randomBytes(6).toString('hex')}`);
  let written: FileState;
  try {
    const old = like ?? (await stat(target).catch(() => undefined));
    written = await writeTemporary(temporary, text, mode, like, old);
    await rename(temporary, target);
  } catch (error) {
    await unlink(temporary).catch(() => undefined);
    if (!NO_REPLACEMENT.has(errnoOf(error))) throw error;
    return writeInPlace(target, text).catch(() => {
      throw error;
    });
  }
  await syncFolder(folder);
  await removeLeftovers(folder, basename(target));
  return written;
}

/**
 * The errors of a file that is mounted by itself (EBUSY), and of a folder that cannot be written
 * although the file in it can.
 */
const NO_REPLACEMENT = new Set(['EBUSY', 'EACCES', 'EPERM', 'EROFS']);

/**
 * The whole text in one write, padded with spaces where the old one was longer, so that a process
 * that dies between the write and the cut leaves a text that can be read.
 */
async function writeInPlace(path: string, text: string): Promise<FileState> {
  const handle = await open(path, 'r+');
  try {
    const bytes = Buffer.from(text);
    const { size } = await handle.stat();
    const padding = Buffer.alloc(Math.max(0, size - bytes.length), ' ');
    const whole = Buffer.concat([bytes, padding]);
    const { bytesWritten } = await handle.write(whole, 0, whole.length, 0);
    if (bytesWritten !== whole.length) throw new Error(`${path} could be written in part only`);
    await handle.truncate(bytes.length);
    await handle.sync();
    return stateOf(await handle.stat({ bigint: true }));
  } finally {
    await handle.close();
  }
}

async function writeTemporary(
  path: string,
  text: string,
  mode: number,
  like: Stats | undefined,
  old: Stats | undefined,
): Promise<FileState> {
  const handle = await open(path, 'wx', mode);
  try {
    if (like) {
      await handle.chown(like.uid, like.gid);
      await handle.chmod(like.mode & 0o777);
    } else if (old && ownUser() === 0) {
      await handle.chown(old.uid, old.gid);
    } else {
      await giveToOwnerOfFolder(path, handle);
    }
    await handle.writeFile(text);
    await handle.sync();
    return stateOf(await handle.stat({ bigint: true }));
  } finally {
    await handle.close();
  }
}

/**
 * Renames a file that cannot be used, so that nothing of it is lost.
 * @param now milliseconds since 1970; becomes part of its new name
 * @returns that name
 */
export async function putAside(path: string, now: number): Promise<string> {
  const target = await linkTarget(path);
  const stamp = new Date(now).toISOString().replaceAll(/[-:]|\.\d+/g, '');
  const aside = `${target}.broken-${stamp}`;
  await rename(target, aside);
  return aside;
}

/** Whether the folder of a file lets {@link replaceFile} work; throws the system's error if not. */
export async function checkReplaceable(path: string): Promise<void> {
  await access(dirname(await linkTarget(path)), constants.W_OK | constants.X_OK);
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
