import { url as inspectorUrl } from 'node:inspector';
import type { OwnEnvironment } from '../config-environment.ts';
import type { Logger } from '../logger.ts';
import { Secret } from '../secret.ts';

/** Variables that hold a credential themselves; their `*_FILE` variants hold paths. */
const CREDENTIALS = ['CODEX_API_KEY', 'CODEX_ACCESS_TOKEN', 'CODEX_AGENT_IDENTITY'];
const PROXIES = ['HTTP_PROXY', 'HTTPS_PROXY', 'ALL_PROXY'].flatMap((name) => [
  name,
  name.toLowerCase(),
]);

/**
 * Makes the process show less of itself. The title takes the place of the arguments in `ps` and
 * `/proc/PID/cmdline`. Without a listener SIGUSR1 opens the inspector, which hands every secret to
 * whoever reaches its port (measured on Node 20.20.2).
 */
export function hardenProcess(): void {
  process.title = 'codex-auth-sidecar';
  process.on('SIGUSR1', () => undefined);
}

/** An inspector that was asked for at start cannot be closed for good; so it is said. */
export function warnOfInspector(log: Logger, url: string | undefined = inspectorUrl()): void {
  if (url === undefined) return;
  log.warn('the inspector is open: whoever reaches it can read every credential; start without it');
}

/**
 * A copy of the environment to read settings from, now and at a reload. Credentials, and proxies
 * with a password, are taken out of the original, so that no child process and no diagnostic report
 * gets them. The kernel's copy in `/proc/PID/environ` stays as it was.
 */
export function takeEnvironment(env: Record<string, string | undefined>): OwnEnvironment {
  const own: OwnEnvironment = { ...env };
  for (const name of CREDENTIALS) {
    const value = env[name];
    if (value !== undefined) own[name] = new Secret(value);
    delete env[name];
  }
  for (const name of PROXIES) if (env[name]?.includes('@')) delete env[name];
  return own;
}
