import { randomBytes } from 'node:crypto';
import {
  constants,
  cp,
  link,
  lstat,
  open,
  readdir,
  readFile,
  rename,
  rm,
  rmdir,
  stat,
  unlink,
} from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { errnoOf } from '../../base/errors.ts';
import { linkTarget } from '../../files/replace-file.ts';
import { ARRIVING, isShared } from './shared-entries.ts';

interface GiveBackOptions {
  /** When the links were last complete, in milliseconds since 1970; null: never. */
  linkedAt: number | null;
  /** Milliseconds since 1970. */
  now: number;
  /** Prints one line for the user. */
  warn: (line: string) => void;
}

/** Two files that are larger are taken for different ones. */
const COMPARED_BYTES = 16 * 1024 * 1024;

/**
 * Moves what a program made in its home to the real home: new files and folders, and files with which
 * it replaced a link. A file that changed in both homes stays in the real one, and the other version
 * is kept beside it. Each step is a rename or a link, so a crash leaves every file whole in one of the
 * homes. Nobody else may use the program's home meanwhile.
 */
export async function giveBack(own: string, real: string, options: GiveBackOptions): Promise<void> {
  await removeArriving(real);
  for (const name of (await readdir(own)).filter(isShared)) {
    await giveBackEntry(join(own, name), join(real, name), options);
  }
}

async function giveBackEntry(from: string, to: string, options: GiveBackOptions): Promise<void> {
  const mine = await lstat(from);
  if (!mine.isFile() && !mine.isDirectory()) return;
  const theirs = await stat(to).catch(() => null);
  if (theirs === null && (await lstat(to).catch(() => null)) === null) {
    if (await moveToFree(from, to)) return;
    return giveBackEntry(from, to, options);
  }
  if (mine.isDirectory() && theirs?.isDirectory()) {
    for (const name of await readdir(from)) {
      await giveBackEntry(join(from, name), join(to, name), options);
    }
    // Something that cannot be moved may be left in it.
    await rmdir(from).catch(() => undefined);
    return;
  }
  const bothFiles = mine.isFile() && theirs?.isFile() === true;
  if (bothFiles && (await isSameContent(from, to, mine.size, theirs.size))) return unlink(from);
  const { linkedAt, now, warn } = options;
  if (bothFiles && linkedAt !== null && theirs.ctimeMs < linkedAt) {
    return move(from, await linkTarget(to));
  }
  const kept = `${to}.${new Date(now).toISOString().replaceAll(/[-:]/g, '')}.bak`;
  if (!(await moveToFree(from, kept))) return;
  warn(`${to} changed both there and in the program's home; that version is in ${kept}`);
}

/** @returns false when somebody else has made something there */
async function moveToFree(from: string, to: string): Promise<boolean> {
  const arrived = await arriving(from, to);
  try {
    if ((await lstat(arrived)).isDirectory()) {
      await rename(arrived, to);
    } else {
      // Other than a rename, this cannot replace a file.
      await link(arrived, to);
      await unlink(arrived);
    }
  } catch (error) {
    if (arrived !== from) await rm(arrived, { recursive: true, force: true });
    if (IS_TAKEN.has(errnoOf(error))) return false;
    throw error;
  }
  if (arrived !== from) await rm(from, { recursive: true });
  return true;
}

const IS_TAKEN = new Set(['EEXIST', 'ENOTEMPTY', 'ENOTDIR']);

/** Replaces `to`. */
async function move(from: string, to: string): Promise<void> {
  const arrived = await arriving(from, to);
  const file = await open(arrived, constants.O_RDONLY);
  await file.sync().finally(() => file.close());
  await rename(arrived, to);
  if (arrived !== from) await rm(from);
}

/** `from` itself, or a copy of it beside `to` where the two are in different file systems. */
async function arriving(from: string, to: string): Promise<string> {
  const [{ dev }, there] = [await lstat(from), await stat(dirname(to))];
  if (dev === there.dev) return from;
  const copy = join(dirname(to), `${ARRIVING}${randomBytes(6).toString('hex')}`);
  await cp(from, copy, { recursive: true, preserveTimestamps: true, verbatimSymlinks: true });
  return copy;
}

/** What a killed process has left on the way; the original still exists. */
async function removeArriving(real: string): Promise<void> {
  const left = (await readdir(real)).filter((name) => basename(name).startsWith(ARRIVING));
  for (const name of left) await rm(join(real, name), { recursive: true, force: true });
}

async function isSameContent(a: string, b: string, size: number, other: number): Promise<boolean> {
  if (size !== other || size > COMPARED_BYTES) return false;
  return (await readFile(a)).equals(await readFile(b));
}
