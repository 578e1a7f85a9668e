import { request } from 'node:http';
import type { OwnEnvironment } from '../../config/environment.ts';
import type { PartialConfig } from '../../config/resolve.ts';
import { readSettings } from '../../sidecar/settings.ts';

const TIMEOUT_MS = 5_000;

/**
 * Asks `/readyz` of the sidecar that listens where these settings say.
 * @returns null when it is ready, else one line that says why it is not
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
    const probe = request({ ...target, path: '/readyz', timeout: TIMEOUT_MS }, (response) => {
      response.resume();
      resolve(
        response.statusCode === 200 ? null : `${place} responded with ${response.statusCode}`,
      );
    });
    probe.on('timeout', () => probe.destroy(new Error('no response in time')));
    probe.on('error', (error: NodeJS.ErrnoException) => {
      resolve(`${place} cannot be reached (${error.code ?? error.message})`);
    });
    probe.end();
  });
}

/** The address to connect to; a wildcard address is for listening only. */
export function reachable(host: string): string {
  if (host === '0.0.0.0') return '127.0.0.1';
  return host === '::' ? '::1' : host;
}
