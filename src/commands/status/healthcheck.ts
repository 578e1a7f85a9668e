import type { OwnEnvironment } from '../../config/environment.ts';
import type { PartialConfig } from '../../config/resolve.ts';
import { readSettings } from '../../sidecar/settings.ts';
import { askSidecar, placeOf, statusTarget } from './ask.ts';

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
  const target = statusTarget(config.listen);
  try {
    const { status } = await askSidecar(target, '/readyz');
    return status === 200 ? null : `${placeOf(target)} responded with ${status}`;
  } catch (error) {
    return (error as Error).message;
  }
}
