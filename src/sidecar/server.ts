import type { FastifyInstance } from 'fastify';
import type { Dispatcher } from 'undici';
import type { AccessRules } from '../access/caller.ts';
import { buildClients, buildClientsEvent, type ClientsInput } from '../admin/clients.ts';
import { EventHub } from '../admin/events.ts';
import { signInEvent } from '../admin/sign-in.ts';
import { buildStatus, type StatusDocument } from '../admin/status.ts';
import type { AuthStore } from '../auth-store/store.ts';
import type { Clock, MonotonicClock } from '../base/clock.ts';
import type { Logger } from '../base/logger.ts';
import type { Schedule } from '../base/schedule.ts';
import { serialized } from '../base/serialize.ts';
import { USER_AGENT, VERSION } from '../base/version.ts';
import type { ClientToken, ClientTokens } from '../clients/client-tokens.ts';
import type { ClientCounters } from '../clients/counters.ts';
import type { Config } from '../config/resolve.ts';
import { REFRESH_EARLY, REFRESH_LATE, type RefreshAhead } from '../credentials/chatgpt-login.ts';
import { CredentialManager } from '../credentials/manager.ts';
import type { EnvironmentCredentials } from '../credentials/selection.ts';
import { LeavingConnections } from '../inbound/leaving-connections.ts';
import { parseUpstream } from '../proxy/routes.ts';
import { OpenTunnels } from '../proxy/websocket/open-tunnels.ts';
import type { AuditLog } from '../telemetry/audit-log.ts';
import type { ExchangeLog } from '../telemetry/exchange-record.ts';
import { createHttpClient } from '../upstream/http-client.ts';
import { createAdminApp, createApp, type Parts } from './apps.ts';
import type { BuiltListener } from './listeners.ts';
import { LiveConfig } from './live-config.ts';
import type { Listener } from './preflight.ts';
import { ServerTls } from './server-tls.ts';
import { createSignIn, maySignIn } from './sign-in.ts';
import { createTelemetry, type Telemetry } from './telemetry.ts';

export interface ServerDeps {
  log: Logger;
  dispatcher: Dispatcher;
  store: AuthStore;
  environment: () => Promise<EnvironmentCredentials>;
  clientTokens: ClientTokens | null;
  listener: Listener;
  /** The operator's own; null: the endpoints are where clients call. */
  admin: Listener | null;
  now: Clock;
  monotonicNow: MonotonicClock;
  sleep: (ms: number) => Promise<void>;
  schedule: Schedule;
  /** `process.platform`. */
  platform: string;
  /** A UUID that names this installation to the backend. */
  installationId: string;
  oauthClientId: string | null;
  /** Whether a refresh leaves a client its id token; by default not. */
  keepsIdToken?: boolean;
  /** Absent or null: no audit log is written. */
  audit?: AuditLog | null;
  /** Reads the configuration again. Throws SidecarError when it cannot be used. */
  readConfig: () => Promise<ConfigRead>;
}

/** A configuration that can be used and is not applied yet. */
export interface ConfigRead {
  config: Config;
  /** Called once the configuration is applied. @returns the client tokens to use with it */
  commit: () => ClientTokens | null;
}

export interface BuiltSidecar {
  app: FastifyInstance;
  /** Where clients call, and where the operator does if that is another address. */
  listeners: BuiltListener[];
  manager: CredentialManager;
  /** Hands out one record for each finished exchange. */
  exchangeLog: ExchangeLog;
  /** What each client has used. */
  counters: ClientCounters;
  /** The configuration that is in use. */
  live: LiveConfig;
  /**
   * Reads configuration and credential again, as `POST /auth/reload` and SIGHUP do.
   * @returns sections of the configuration that differ and need a restart
   * @throws SidecarError; then the old ones stay, except a credential that is gone
   */
  reload(): Promise<string[]>;
  /** Replaces the client tokens. */
  useClientTokens(tokens: ClientTokens): void;
  /**
   * From now on a connection that is open takes one more request, and new ones are answered
   * AUTH_DRAINING. Each WebSocket is closed with 1001 when it is idle. Resolves when no exchange is open.
   */
  drain(): Promise<void>;
  /** Closes the remaining WebSockets with 1001, idle or not; waits two seconds at most. */
  sayGoingAway(): Promise<void>;
}

/** Puts the parts together, in the order in which a request meets them. Does not listen yet. */
export async function buildServer(config: Config, deps: ServerDeps): Promise<BuiltSidecar> {
  const certificates = {
    main: deps.listener.certificates,
    admin: deps.admin?.certificates ?? null,
  };
  const live = new LiveConfig(config, deps.clientTokens, certificates);
  const telemetry = createTelemetry(config, deps);
  const credentials = createCredentials(live, deps, telemetry, () => events.publishSoon());
  const { manager } = credentials;
  const tunnels = new OpenTunnels(deps.monotonicNow);
  const shutdown = { draining: false };
  const leaving = new LeavingConnections();
  const upstreams = {
    chatgpt: parseUpstream(config.upstream.chatgptBaseUrl),
    openai: parseUpstream(config.upstream.openaiBaseUrl),
  };
  const tls = new ServerTls(deps.listener.tls?.read ?? null);
  const status = createStatus({ live, telemetry, manager, upstreams, shutdown, tls }, deps);
  const events = new EventHub({
    status,
    retryNow: () => manager.prepare(),
    activity: () => telemetry.activity.snapshot(),
    clients: () => buildClientsEvent(clientsInput(live, telemetry, deps.now)),
    signIn: () => signInEvent(signIn.state(), maySignIn(live, shutdown, manager)),
    credentialChanges: credentials.changes,
  });
  const signIn = createSignIn(config, deps, manager, () => events.publishSoon());
  // One after another: the later read must win.
  const reload = serialized(() => readAgain(live, manager, deps.readConfig));
  const state = { live, telemetry, manager, tunnels, upstreams, shutdown, leaving, tls };
  const clients = () => buildClients(clientsInput(live, telemetry, deps.now));
  const parts = { ...state, status, events, signIn, clients, reload };
  const app = await createApp(parts, deps);
  const admin = deps.admin && (await createAdminApp(parts, deps, deps.admin));
  return {
    app,
    listeners: [{ app, tls, listener: deps.listener }, ...(admin ? [admin] : [])],
    manager,
    exchangeLog: telemetry.exchangeLog,
    counters: telemetry.counters,
    live,
    reload,
    useClientTokens: (tokens) => void live.apply(live.config, tokens),
    drain: async () => {
      shutdown.draining = true;
      const signInEnded = signIn.stop();
      leaving.leave();
      tunnels.drain();
      events.close();
      await signInEnded;
      await leaving.allLeft();
      await telemetry.traffic.idle();
    },
    sayGoingAway: () => tunnels.sayGoingAway(),
  };
}

/** @param changed called when the status may show something else of the credential */
function createCredentials(
  live: LiveConfig,
  deps: ServerDeps,
  { metrics, backendClock, accountLimits }: Telemetry,
  changed: () => void,
) {
  let changes = 0;
  const manager = new CredentialManager({
    ...deps,
    upstream: live.config.upstream,
    agentIdentity: () => live.config.agentIdentity,
    refreshAhead: refreshAhead(live.config.store),
    backendNow: backendClock.now,
    http: createHttpClient(deps.dispatcher, USER_AGENT, (date) => backendClock.observe(date)),
    version: VERSION,
    observe: (event) => {
      metrics?.credential(event);
      if (event.type === 'changed') {
        changes++;
        accountLimits.forget();
      }
      if (event.type !== 'assertionBuilt') changed();
    },
  });
  return { manager, changes: () => changes };
}

function refreshAhead({ kind, refreshAheadSeconds: seconds }: Config['store']): RefreshAhead {
  if (seconds !== null) return () => seconds * 1000;
  return kind === 'file' ? REFRESH_LATE : REFRESH_EARLY;
}

function createStatus(
  {
    live,
    telemetry,
    manager,
    upstreams,
    shutdown,
    tls,
  }: Pick<Parts, 'live' | 'telemetry' | 'manager' | 'upstreams' | 'shutdown' | 'tls'>,
  { monotonicNow, store }: Pick<ServerDeps, 'monotonicNow' | 'store'>,
): () => StatusDocument {
  const startedAt = monotonicNow();
  return () =>
    buildStatus({
      version: VERSION,
      uptimeMs: monotonicNow() - startedAt,
      policy: live.config.agentIdentity.policy,
      draining: shutdown.draining,
      upstreamOrigins: { chatgpt: upstreams.chatgpt.origin, openai: upstreams.openai.origin },
      routes: live.routes,
      credential: manager.snapshot(),
      store: store.status(),
      traffic: telemetry.traffic.snapshot(),
      accountLimits: telemetry.accountLimits.snapshot(),
      clockSkewSeconds: telemetry.backendClock.skewSeconds,
      certificate: tls.certificate && { ...tls.certificate, problem: tls.problem },
    });
}

function clientsInput(live: LiveConfig, telemetry: Telemetry, now: Clock): ClientsInput {
  const { counters, usageBook, accountLimits } = telemetry;
  return {
    usageRead: live.config.usage.enabled,
    tokens: clientsOf(live.rules),
    counters,
    book: usageBook,
    accountLimits: accountLimits.snapshot(),
    now: now(),
  };
}

/** Those that may call, by token or certificate; null: everybody. */
function clientsOf({ tokens, certificates }: AccessRules): ClientToken[] | null {
  if (tokens === null && certificates === null) return null;
  return [...(tokens?.list ?? []), ...(certificates?.list ?? [])];
}

/** Reads configuration and credential, then commits both at once, or neither. */
async function readAgain(
  live: LiveConfig,
  manager: CredentialManager,
  readConfig: ServerDeps['readConfig'],
): Promise<string[]> {
  const { config, commit } = await readConfig();
  // Again where somebody else's later read came first.
  while (!manager.use(await manager.read(), config.agentIdentity));
  const restartNeededFor = live.apply(config, commit());
  await manager.persist();
  await manager.prepare();
  return restartNeededFor;
}
