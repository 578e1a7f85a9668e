import { url as inspectorUrl } from 'node:inspector';
import { hostname } from 'node:os';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Dispatcher } from 'undici';
import { installationIdOf } from '../agent-identity/installation-id.ts';
import { problemsOf } from '../auth-store/file-problems.ts';
import type { AuthStore } from '../auth-store/store.ts';
import { monotonicClock, systemClock } from '../base/clock.ts';
import { ConfigError, SidecarError } from '../base/errors.ts';
import type { Logger } from '../base/logger.ts';
import { timerSchedule } from '../base/schedule.ts';
import { placesOf } from '../config/places.ts';
import { AuditLog } from '../telemetry/audit-log.ts';
import { type KeptCounters, keepCounters } from './keep-counters.ts';
import type { ListenAddress } from './listen.ts';
import { type OpenListener, openListener } from './listeners.ts';
import { openStore } from './open-store.ts';
import { checkExposure, type Listener, preflight, type TokenSource } from './preflight.ts';
import { type BuiltSidecar, buildServer, type ConfigRead, type ServerDeps } from './server.ts';
import type { Settings } from './settings.ts';
import { TokensFile, type TokensRead } from './tokens-file.ts';
import { wideningOf } from './widening.ts';

export interface RunningSidecar extends BuiltSidecar {
  address: ListenAddress;
  /** Of the operator's own listener; null where there is none. */
  adminAddress: ListenAddress | null;
  /** Waits up to `limits.drainSeconds` for open exchanges, then closes everything. */
  stop(): Promise<void>;
  /** Opens the file of the audit log by its name again; false when there is none to open. */
  reopenAudit(): Promise<boolean>;
}

/**
 * Builds and starts a sidecar; `serve`, `run`, `demo` and the tests all come through here.
 * @param tokenSource null: the file that the configuration names
 * @throws ConfigError when the settings cannot be used; an Error when the address cannot be used
 */
export async function launchSidecar(
  settings: Settings,
  log: Logger,
  allowUnauthenticated: boolean,
  readAgain: () => Promise<Settings> = async () => settings,
  tokenSource: TokenSource | null = null,
): Promise<RunningSidecar> {
  const tokens: TokenSource =
    tokenSource ?? new TokensFile(log, (changed) => sidecar.useClientTokens(changed));
  const found = await pass(settings, log, tokens, allowUnauthenticated);
  const { dispatcher, clientTokens, listener, admin } = found;
  const { audit: auditTarget } = settings.config.log;
  const audit = auditTarget === null ? null : await AuditLog.open(auditTarget, log);
  const store = await openStore(settings, log);
  const readConfig = () =>
    readConfigAgain(readAgain, tokens, log, (config, changed) => {
      const { live } = sidecar;
      const places = [...placesOf(live.config), ...placesOf(config)];
      const warning = checkExposure(places, changed, allowUnauthenticated);
      const widened = wideningOf(live.config, config, settings.config);
      return warning === null ? widened : [...widened, warning];
    });
  const { keepsIdToken = false } = tokens;
  const parts = { log, dispatcher, store, audit, readConfig, listener, admin, keepsIdToken };
  const sidecar = await build(settings, clientTokens.tokens, parts);
  clientTokens.commit();
  await warn(store, log);
  const open: OpenListener[] = [];
  const opened = { tokens, store, dispatcher, audit, open };
  const counters = await keepCounters(settings, sidecar, log).catch(async (error: unknown) => {
    await closeParts(sidecar, { ...opened, counters: null });
    throw error;
  });
  const close = () => closeParts(sidecar, { ...opened, counters });
  const [main, operator] = await openAll(sidecar, open, log, close);
  void sidecar.manager.prepare();
  const stopWatching = store.watch(() => void sidecar.manager.reload());
  return {
    ...sidecar,
    address: main.address,
    adminAddress: operator?.address ?? null,
    reopenAudit: async () => (await audit?.reopen()) ?? false,
    stop: async () => {
      stopWatching();
      await drain(sidecar);
      await close();
    },
  };
}

/** What a start needs of its preflight. */
interface Passed {
  dispatcher: Dispatcher;
  clientTokens: TokensRead;
  listener: Listener;
  admin: Listener | null;
}

/** @throws ConfigError for the first thing that a start refuses */
async function pass(
  settings: Settings,
  log: Logger,
  tokens: TokenSource,
  allowUnauthenticated: boolean,
): Promise<Passed> {
  const found = await preflight(settings, tokens, allowUnauthenticated);
  const { dispatcher, clientTokens, listener, admin, refusals, warnings } = found;
  if (refusals[0] || !dispatcher || !clientTokens || !listener) {
    await dispatcher?.destroy();
    throw refusals[0]?.error ?? new Error('a start needs what its preflight did not find');
  }
  for (const warning of warnings) log.warn(warning);
  return { dispatcher, clientTokens, listener, admin };
}

function build(
  { config, credentials, oauthClientId }: Settings,
  clientTokens: TokensRead['tokens'],
  parts: Pick<
    ServerDeps,
    'log' | 'dispatcher' | 'store' | 'audit' | 'readConfig' | 'listener' | 'admin' | 'keepsIdToken'
  >,
): Promise<BuiltSidecar> {
  return buildServer(config, {
    ...parts,
    clientTokens,
    environment: credentials,
    now: systemClock,
    monotonicNow: monotonicClock,
    sleep,
    schedule: timerSchedule,
    platform: process.platform,
    installationId: installationIdOf(hostname(), parts.store.location),
    oauthClientId,
  });
}

/** Logs what is worth a look and is not in the settings. */
async function warn(store: AuthStore, log: Logger): Promise<void> {
  warnOfInspector(log);
  if (store.status().kind !== 'file') return;
  for (const { problem, remedy } of await problemsOf(store.location)) {
    log.warn(`${store.location} ${problem}; ${remedy}`);
  }
}

/** An inspector that was asked for at start cannot be closed reliably, so we only warn. */
export function warnOfInspector(log: Logger, url: string | undefined = inspectorUrl()): void {
  if (url === undefined) return;
  log.warn('the inspector is open: whoever reaches it can read every credential; start without it');
}

/** Binds all addresses, or none. @param open gets each that is bound */
async function openAll(
  { listeners }: BuiltSidecar,
  open: OpenListener[],
  log: Logger,
  close: () => Promise<void>,
): Promise<[OpenListener, OpenListener | undefined]> {
  try {
    for (const listener of listeners) open.push(await openListener(listener, log));
    const [main, operator] = open;
    if (!main) throw new Error('a sidecar has at least one listener');
    return [main, operator];
  } catch (error) {
    await close();
    throw error;
  }
}

/** Lets open exchanges end, for as long as the configuration allows. */
async function drain(sidecar: BuiltSidecar): Promise<void> {
  const { drainSeconds } = sidecar.live.config.limits;
  const patience = new AbortController();
  const { signal } = patience;
  const limit = sleep(drainSeconds * 1000, undefined, { signal }).catch(() => undefined);
  await Promise.race([sidecar.drain(), limit]);
  patience.abort();
  await sidecar.sayGoingAway();
}

interface ClosedParts {
  tokens: TokenSource;
  store: AuthStore;
  dispatcher: Dispatcher;
  audit: AuditLog | null;
  counters: KeptCounters | null;
  open: OpenListener[];
}

async function closeParts(
  { listeners, manager }: BuiltSidecar,
  { tokens, store, dispatcher, audit, counters, open }: ClosedParts,
): Promise<void> {
  tokens.close();
  for (const listener of open) listener.close();
  for (const { app } of listeners) await app.close();
  await counters?.close();
  await manager.settle();
  manager.dispose();
  await store.close();
  await dispatcher.destroy();
  await audit?.close();
}

/**
 * For a reload: what would end a start is said in the response instead.
 * @param check gives lines for the log, which are written once the configuration is applied
 */
async function readConfigAgain(
  readAgain: () => Promise<Settings>,
  tokens: TokenSource,
  log: Logger,
  check: (config: Settings['config'], tokens: TokensRead['tokens']) => string[],
): Promise<ConfigRead> {
  try {
    const { config } = await readAgain();
    const { tokens: clientTokens, commit } = await tokens.read(config.clients.tokensFile, false);
    const warnings = check(config, clientTokens);
    const warned = () => {
      for (const line of warnings) log.warn(`after this reload: ${line}`);
      return commit();
    };
    return { config, commit: warned };
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error;
    throw new SidecarError('SIDECAR_CONFIG_INVALID', error.message);
  }
}
