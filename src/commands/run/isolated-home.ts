import { randomBytes } from 'node:crypto';
import { access, constants, cp, mkdir, mkdtemp, readdir, rm, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, relative, sep } from 'node:path';
import { errnoOf } from '../../base/errors.ts';
import { withFileLock, withLockIfPossible } from '../../files/lock.ts';
import { makeFolder } from '../../files/ownership.ts';

/** What is no configuration: the login, and what Codex writes while it works. */
const LEFT_OUT =
  /^(auth\.(json|lock)|\.auth\.json\..*|sessions|archived_sessions|history\.jsonl|memories|logs?|tmp|\.tmp|.*\.sqlite(-\w+)?)$/;

/**
 * Runs `work` with a new Codex home that holds all of the configuration of `home` (profiles, rules,
 * instructions, skills, files that config.toml names) and no login, and removes
 * it afterwards. It is made in `state`, because Codex 0.169.0 creates no helpers for a home in the
 * folder for temporary files.
 */
export async function withIsolatedHome<T>(
  home: string,
  state: string,
  warn: (line: string) => void,
  work: (codexHome: string) => Promise<T>,
): Promise<T> {
  const parent = await writableFolder(state, warn);
  await sweep(parent);
  const folder = join(parent, `${PREFIX}${randomBytes(6).toString('hex')}`);
  const hold = () => withHome(home, folder, warn, work);
  try {
    return await withLockIfPossible(lockOf(folder), LOCK_SECONDS, hold, () => undefined);
  } finally {
    if (parent !== state) await rm(parent, { recursive: true, force: true }).catch(() => undefined);
  }
}

const PREFIX = 'home-';
const LOCK_SECONDS = 0.5;

/** Held for as long as a home is in use; the kernel releases it when the run is killed. */
function lockOf(folder: string): string {
  return `${folder}.lock`;
}

async function withHome<T>(
  home: string,
  folder: string,
  warn: (line: string) => void,
  work: (codexHome: string) => Promise<T>,
): Promise<T> {
  try {
    await mkdir(folder, { mode: 0o700 });
    await copyConfiguration(home, folder);
    return await work(folder);
  } finally {
    // Processes that the child left behind may still write there.
    await remove(folder).catch(() => warn(`could not remove ${folder}; remove it by hand`));
  }
}

async function remove(folder: string): Promise<void> {
  await rm(folder, { recursive: true, force: true, maxRetries: 3 });
  await rm(lockOf(folder), { force: true });
}

/** Removes what killed runs have left; without the program "flock" nobody can tell, so all stays. */
async function sweep(parent: string): Promise<void> {
  const names = await readdir(parent).catch(() => []);
  for (const name of names.filter((other) => /^home-\w+$/.test(other))) {
    const folder = join(parent, name);
    await withFileLock(lockOf(folder), LOCK_SECONDS, () => remove(folder)).catch(() => undefined);
  }
}

async function writableFolder(state: string, warn: (line: string) => void): Promise<string> {
  try {
    await makeFolder(state);
    await access(state, constants.W_OK);
    return state;
  } catch (error) {
    const folder = await mkdtemp(join(tmpdir(), 'codex-home-'));
    warn(
      `cannot write in ${state} (${errnoOf(error)}), so CODEX_HOME is in ${folder}, where Codex creates no helpers`,
    );
    return folder;
  }
}

/** Copies, so that nothing written there reaches the real home; of a link, what it leads to. */
async function copyConfiguration(home: string, folder: string): Promise<void> {
  if ((await kindOf(home)) === null) return;
  const filter = async (source: string) => {
    const name = relative(home, source);
    return !LEFT_OUT.test(name) && (await kindOf(source)) !== null;
  };
  // Entry by entry: the new home may lie in the real one, and that part is not its configuration.
  const [ours = '..'] = relative(home, folder).split(sep);
  try {
    for (const name of await readdir(home)) {
      const source = join(home, name);
      if (name === ours || !(await filter(source))) continue;
      await cp(source, join(folder, name), { recursive: true, dereference: true, filter });
    }
  } catch (error) {
    throw new Error(`cannot copy the configuration in ${home} (${errnoOf(error)})`);
  }
}

/** null for what cannot be copied: a broken link, a pipe, a socket. */
async function kindOf(path: string): Promise<'file' | 'folder' | null> {
  const info = await stat(path).catch(() => null);
  if (info?.isDirectory()) return 'folder';
  return info?.isFile() ? 'file' : null;
}
