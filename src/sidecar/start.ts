import { url as inspectorUrl } from 'node:inspector';
import { setTimeout as sleep } from 'node:timers/promises';
import type { ClientTokens } from '../access/client-tokens.ts';
import { FileAuthStore } from '../auth-store/file-store.ts';
import { systemClock } from '../base/clock.ts';
import { ConfigError, SidecarError } from '../base/errors.ts';
import { isLoopbackHost } from '../base/host.ts';
import type { Logger } from '../base/logger.ts';
import { timerSchedule } from '../base/schedule.ts';
import type { Config } from '../config/resolve.ts';
import { AuditLog } from '../telemetry/audit-log.ts';
import { createDispatcher } from '../upstream/dispatcher.ts';
import { readAuthorities } from './ca-file.ts';
import { type ListenAddress, listen } from './listen.ts';
import { buildServer, type ConfigRead, type Sidecar } from './server.ts';
import type { Settings } from './settings.ts';
import { TokensFile } from './tokens-file.ts';

export interface RunningSidecar extends Sidecar {
  address: ListenAddress;
  /** Waits up to `limits.drainSeconds` for open exchanges, then closes everything. */
  stop(): Promise<void>;
  /** Opens the file of the audit log by its name again; false when there is none to open. */
  reopenAudit(): Promise<boolean>;
}

/** Where the client tokens come from; asked again at every reload. */
export type TokenSource = Pick<TokensFile, 'read' | 'close'>;

/**
 * Builds and starts a sidecar; `serve`, `run`, `demo` and the tests all come through here.
 * @param tokenSource null: the file that the configuration names
 */
export async function startSidecar(
  settings: Settings,
  log: Logger,
  allowUnauthenticated: boolean,
  readAgain: () => Promise<Settings> = async () => settings,
  tokenSource: TokenSource | null = null,
): Promise<RunningSidecar> {
  const { config, codexHome } = settings;
  // A secret that cannot be read is a wrong start, not a credential that fails later.
  await settings.credentials();
  const { audit: auditTarget } = config.log;
  const audit = auditTarget === null ? null : await AuditLog.open(auditTarget, log);
  const { caFile, proxy } = config.upstream;
  const tokens = tokenSource ?? new TokensFile(log, (changed) => sidecar.useClientTokens(changed));
  const { tokens: clientTokens, commit } = await tokens.read(config.clients.tokensFile, true);
  checkExposure([config.listen], clientTokens, allowUnauthenticated, log);
  const dispatcher = createDispatcher({
    ca: await readAuthorities(caFile),
    proxy,
    proxyEnvironment: settings.proxyEnvironment,
  });
  const store = new FileAuthStore(codexHome, (line, err) => log.warn({ err }, line));
  const sidecar = await buildServer(config, {
    log,
    dispatcher,
    store,
    clientTokens,
    audit,
    environment: settings.credentials,
    now: systemClock,
    sleep,
    schedule: timerSchedule,
    platform: process.platform,
    oauthClientId: settings.oauthClientId,
    readConfig: () =>
      readConfigAgain(readAgain, tokens, (next, changed) =>
        checkExposure([config.listen, next], changed, allowUnauthenticated, log),
      ),
  });
  commit();
  for (const warning of settings.warnings) log.warn(warning);
  warnOfInspector(log);
  if (await store.isReadableByOthers()) {
    log.warn(`${store.location} can be read by other users; run: chmod 600 ${store.location}`);
  }
  if (await store.hasOtherNames()) {
    log.warn(`${store.location} has hard links; the others keep the old tokens when it is written`);
  }
  const close = async () => {
    tokens.close();
    await sidecar.app.close();
    await sidecar.manager.settle();
    sidecar.manager.dispose();
    await dispatcher.destroy();
    await audit?.close();
  };
  let address: ListenAddress;
  try {
    address = await listen(sidecar.app, config.listen, (line) => log.warn(line));
  } catch (error) {
    await close();
    throw error;
  }
  void sidecar.manager.prepare();
  const stopWatching = store.watch(() => void sidecar.manager.reload());
  return {
    ...sidecar,
    address,
    reopenAudit: async () => (await audit?.reopen()) ?? false,
    stop: async () => {
      stopWatching();
      const patience = new AbortController();
      const limit = sleep(config.limits.drainSeconds * 1000, undefined, {
        signal: patience.signal,
      }).catch(() => undefined);
      await Promise.race([sidecar.drain(), limit]);
      patience.abort();
      await sidecar.sayGoingAway();
      await close();
    },
  };
}

/** An inspector that was asked for at start cannot be closed reliably, so we only warn. */
export function warnOfInspector(log: Logger, url: string | undefined = inspectorUrl()): void {
  if (url === undefined) return;
  log.warn('the inspector is open: whoever reaches it can read every credential; start without it');
}

/** For a reload: what would end a start is said in the answer instead. */
async function readConfigAgain(
  readAgain: () => Promise<Settings>,
  tokens: TokenSource,
  check: (listen: Config['listen'], tokens: ClientTokens | null) => void,
): Promise<ConfigRead> {
  try {
    const { config } = await readAgain();
    const { tokens: clientTokens, commit } = await tokens.read(config.clients.tokensFile, false);
    check(config.listen, clientTokens);
    return { config, commit };
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error;
    throw new SidecarError('SIDECAR_CONFIG_INVALID', error.message);
  }
}

/**
 * A listener that other machines can reach would lend the account to all of them.
 * @param addresses what is bound, and at a reload also what the next start would bind
 */
function checkExposure(
  addresses: readonly Config['listen'][],
  tokens: ClientTokens | null,
  allowUnauthenticated: boolean,
  log: Logger,
): void {
  const exposed = addresses.find(({ socket, host }) => socket === null && !isLoopbackHost(host));
  if (tokens || !exposed) return;
  if (!allowUnauthenticated) {
    throw new ConfigError(
      `listen.host ${exposed.host} is not loopback: set clients.tokensFile, or pass --allow-unauthenticated`,
    );
  }
  log.warn(`anyone who reaches ${exposed.host} can use the account (--allow-unauthenticated)`);
}
