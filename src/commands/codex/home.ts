import { stat } from 'node:fs/promises';
import { homedir } from 'node:os';
import { join } from 'node:path';
import type { Environment } from '../../sidecar/settings.ts';

/** The folder that a Codex started in this environment uses. */
export function agentHome(env: Environment): string {
  return env.CODEX_HOME?.trim() || join(env.HOME?.trim() || homedir(), '.codex');
}

/** Whether a Codex home holds a login, which its agent can read and use. */
export async function holdsLogin(codexHome: string): Promise<boolean> {
  const info = await stat(join(codexHome, 'auth.json')).catch(() => null);
  return info?.isFile() === true && info.size > 0;
}
