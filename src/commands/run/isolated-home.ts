import { copyFile, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { errnoOf } from '../../base/errors.ts';
import { makeFolder } from '../../files/ownership.ts';

/**
 * Runs `work` with a new Codex home that holds the configuration of `home` and no login, and removes
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
    await copyFile(join(home, 'config.toml'), join(folder, 'config.toml')).catch(ignoreMissing);
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

function ignoreMissing(error: unknown): void {
  const code = errnoOf(error);
  if (code !== 'ENOENT') throw new Error(`cannot copy config.toml (${code})`);
}
