import { randomBytes } from 'node:crypto';
import {
  access,
  constants,
  lstat,
  mkdir,
  readdir,
  readlink,
  rename,
  symlink,
  unlink,
} from 'node:fs/promises';
import { dirname, join, relative, sep } from 'node:path';
import { errnoOf } from '../../base/errors.ts';

/**
 * What each home has for itself (names seen with Codex 0.142.3, 0.169.0 and 0.171.0): the login,
 * caches, what belongs to running processes, and databases, which `CODEX_SQLITE_HOME` puts into the
 * real home.
 */
const PRIVATE =
  /^(\.?auth\b.*|tmp|\.tmp.*|cache|.*[-_]cache\.json|app-server-.*|.*\.sock|.*\.sqlite(-\w+)?)$/;

/** Folders that are made in the real home, so that both homes have them in common from the start. */
const FOLDERS = ['sessions', 'archived_sessions', 'memories', 'thread-writer-locks'];

/** Files that Codex makes in the real home when it writes through the link to them. */
const FILES = [
  'config.toml',
  'history.jsonl',
  'session_index.jsonl',
  'session_index.jsonl.lock',
  'installation_id',
];

/** Begins the name of what is on its way into the real home. */
export const ARRIVING = '.codex-auth-sidecar-';

export function isShared(name: string): boolean {
  return !PRIVATE.test(name) && !name.startsWith(ARRIVING);
}

/**
 * Fills the home of a program with links to all that it shares with the real home. A link leads to a
 * name, so whoever replaces the file there is seen here too. What is there and is no link stays.
 */
export async function linkShared(real: string, own: string): Promise<void> {
  const isWritable = await access(real, constants.W_OK).then(
    () => true,
    () => false,
  );
  if (isWritable) for (const name of FOLDERS) await makeShared(join(real, name));
  // The home of the program may lie in the real one, and a link to that part would be a circle.
  const [way = '..'] = relative(real, own).split(sep);
  const present = (await readdir(real)).filter((name) => isShared(name) && name !== way);
  const names = new Set([...present, ...(isWritable ? FILES : [])]);
  for (const name of names) await linkTo(join(real, name), join(own, name));
  for (const name of await readdir(own)) {
    if (!names.has(name)) await removeStale(join(own, name), real);
  }
}

/** Makes `path` a link to `target`, unless something other than a link is there. */
export async function linkTo(target: string, path: string): Promise<void> {
  const entry = await lstat(path).catch(() => null);
  if (entry && (!entry.isSymbolicLink() || (await readlink(path)) === target)) return;
  const temporary = `${path}.${randomBytes(6).toString('hex')}`;
  await symlink(target, temporary);
  await rename(temporary, path);
}

async function makeShared(path: string): Promise<void> {
  await mkdir(path, { mode: 0o700 }).catch((error: unknown) => {
    if (errnoOf(error) !== 'EEXIST') throw error;
  });
}

/** A link of ours whose name is gone from the real home, or that a killed process did not finish. */
async function removeStale(path: string, real: string): Promise<void> {
  const target = await readlink(path).catch(() => null);
  if (target !== null && dirname(target) === real) await unlink(path);
}
