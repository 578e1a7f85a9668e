import { cp, mkdtemp, rm, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, relative } from 'node:path';
import { errnoOf } from '../../base/errors.ts';
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
  const folder = await makeHome(state, warn);
  try {
    await copyConfiguration(home, folder);
    return await work(folder);
  } finally {
    // Processes that the child left behind may still write there.
    await rm(folder, { recursive: true, force: true, maxRetries: 3 }).catch(() =>
      warn(`could not remove ${folder}; remove it by hand`),
    );
  }
}

async function makeHome(state: string, warn: (line: string) => void): Promise<string> {
  try {
    await makeFolder(state);
    return await mkdtemp(join(state, 'home-'));
  } catch (error) {
    const folder = await mkdtemp(join(tmpdir(), 'codex-home-'));
    warn(
      `cannot write in ${state} (${errnoOf(error)}), so CODEX_HOME is ${folder}, where Codex creates no helpers`,
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
  try {
    await cp(home, folder, { recursive: true, dereference: true, filter });
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
