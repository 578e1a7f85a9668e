import type { Logger } from '../base/logger.ts';
import { VERSION } from '../base/version.ts';
import { trustSources } from './authorities.ts';
import type { Settings } from './settings.ts';
import type { RunningSidecar } from './start.ts';

/**
 * Logs where a sidecar listens and with what, once its credential is loaded.
 * @param clientTokens whether clients need a token
 */
export async function logStart(
  log: Logger,
  { address, adminAddress, manager }: RunningSidecar,
  settings: Settings,
  clientTokens: boolean,
): Promise<void> {
  const { config, codexHome } = settings;
  await manager.load();
  const { mode, from } = manager.snapshot();
  log.info(
    {
      ...address,
      ...(adminAddress ? { admin: adminAddress } : {}),
      pid: process.pid,
      version: VERSION,
      credential: mode,
      credentialSource: from,
      policy: config.agentIdentity.policy,
      codexHome,
      clientTokens,
      authorities: trustSources(settings),
    },
    'listening',
  );
}
