import { ConfigError } from '../../base/errors.ts';
import { createLogger } from '../../base/logger.ts';
import { openStore } from '../../sidecar/open-store.ts';
import { preflight } from '../../sidecar/preflight.ts';
import type { Settings } from '../../sidecar/settings.ts';
import { TokensFile } from '../../sidecar/tokens-file.ts';
import type { CommandIo } from '../options.ts';

/** Here messages take the place of log lines. */
const SILENT = createLogger({ level: 'silent' });

/**
 * Makes the checks of a start, says what a start would warn of, and starts nothing.
 * @throws ConfigError for what a start would refuse; of several, the others are printed before
 */
export async function checkConfig(
  settings: Settings,
  allowUnauthenticated: boolean,
  { print, warn }: Pick<CommandIo, 'print' | 'warn'>,
): Promise<void> {
  const tokens = new TokensFile(SILENT, () => undefined);
  const found = await preflight(settings, tokens, allowUnauthenticated);
  await found.dispatcher?.destroy();
  for (const warning of found.warnings) warn(warning);
  const refusals = found.refusals.map(({ error }) => error);
  const problem = await storeProblem(settings);
  if (problem) refusals.push(problem);
  const last = refusals.pop();
  for (const { message } of refusals) warn(`wrong configuration: ${message}`);
  if (last) throw last;
  print('a sidecar can start with this configuration');
}

/** What is wrong with the settings of the store, which no connection is needed to see. */
async function storeProblem(settings: Settings): Promise<ConfigError | null> {
  try {
    await (await openStore(settings, SILENT, 'command')).close();
    return null;
  } catch (error) {
    if (error instanceof ConfigError) return error;
    throw error;
  }
}
