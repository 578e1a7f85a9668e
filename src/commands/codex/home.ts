import { stat } from 'node:fs/promises';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { expandHome } from '../../files/home-path.ts';
import type { Environment } from '../../sidecar/settings.ts';

/**
 * The folder that a Codex started in this environment uses; `~` is the home folder, as in our own settings.
 * @throws Error for `~user`
 */
export function agentHome(env: Environment): string {
  const home = env.HOME?.trim() || homedir();
  return expandHome(env.CODEX_HOME?.trim() || '~/.codex', home);
}

/** Whether a Codex home holds a login, which its agent can read and use. */
export async function holdsLogin(codexHome: string): Promise<boolean> {
  const info = await stat(join(codexHome, 'auth.json')).catch(() => null);
  return info?.isFile() === true && info.size > 0;
}
