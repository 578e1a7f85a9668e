import { request } from 'node:http';
import type { OwnEnvironment } from '../../config/environment.ts';
import type { PartialConfig } from '../../config/resolve.ts';
import { readSettings } from '../../sidecar/settings.ts';

const TIMEOUT_MS = 5_000;

/**
 * Asks `/readyz` of the sidecar that the same configuration would start.
 * @returns null when it is ready, else one line that says why not
 */
export async function healthcheck(
  env: OwnEnvironment,
  configFile: string | null,
  flags: PartialConfig,
): Promise<string | null> {
  const { config } = await readSettings(env, configFile, flags);
  const { host, port, socket } = config.listen;
  const place = socket ?? `${reachable(host)}:${port}`;
  return new Promise((resolve) => {
    const target = socket === null ? { host: reachable(host), port } : { socketPath: socket };
    const probe = request({ ...target, path: '/readyz', timeout: TIMEOUT_MS }, (answer) => {
      answer.resume();
      resolve(answer.statusCode === 200 ? null : `${place} answered ${answer.statusCode}`);
    });
    probe.on('timeout', () => probe.destroy(new Error('no answer in time')));
    probe.on('error', (error: NodeJS.ErrnoException) => {
      resolve(`${place} cannot be reached (${error.code ?? error.message})`);
    });
    probe.end();
  });
}

/** A wildcard address is listened on, not connected to. */
export function reachable(host: string): string {
  if (host === '0.0.0.0') return '127.0.0.1';
  return host === '::' ? '::1' : host;
}
