import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import type { Dispatcher } from 'undici';
import type { ClientTokens } from '../access/client-tokens.ts';
import { guardAccess } from '../access/plugin.ts';
import { EventHub } from '../admin/events.ts';
import { adminPlugin } from '../admin/plugin.ts';
import { buildStatus } from '../admin/status.ts';
import type { AuthStore } from '../auth-store/file-store.ts';
import type { Clock } from '../base/clock.ts';
import { SidecarError } from '../base/errors.ts';
import type { Logger } from '../base/logger.ts';
import type { Schedule } from '../base/schedule.ts';
import { serialized } from '../base/serialize.ts';
import { USER_AGENT, VERSION } from '../base/version.ts';
import type { Config } from '../config/resolve.ts';
import { CredentialManager } from '../credentials/manager.ts';
import type { EnvironmentCredentials } from '../credentials/selection.ts';
import { boundIdleConnections } from '../inbound/limits.ts';
import { PendingResponses } from '../inbound/pending-responses.ts';
import { createHttpServer } from '../inbound/server.ts';
import { CloudflareCookies } from '../proxy/cookies.ts';
import { parseUpstream } from '../proxy/forward.ts';
import { proxyPlugin } from '../proxy/plugin.ts';
import { ReplayBudget } from '../proxy/request-body.ts';
import { OpenTunnels } from '../proxy/websocket/open-tunnels.ts';
import { Activity } from '../telemetry/activity.ts';
import type { AuditLog } from '../telemetry/audit-log.ts';
import { ExchangeLog, type ExchangeRecord } from '../telemetry/exchange-record.ts';
import { Metrics } from '../telemetry/metrics.ts';
import { Traffic } from '../telemetry/traffic.ts';
import { BackendClock } from '../upstream/backend-clock.ts';
import { createHttpClient } from '../upstream/http-client.ts';
import { LiveConfig } from './live-config.ts';

export interface ServerDeps {
  log: Logger;
  dispatcher: Dispatcher;
  store: AuthStore;
  environment: () => Promise<EnvironmentCredentials>;
  clientTokens: ClientTokens | null;
  now: Clock;
  sleep: (ms: number) => Promise<void>;
  schedule: Schedule;
  /** `process.platform`. */
  platform: string;
  oauthClientId: string | null;
  /** Absent or null: none is written. */
  audit?: AuditLog | null;
  /** Reads the configuration again. Throws SidecarError when it cannot be used. */
  readConfig: () => Promise<ConfigRead>;
}

/** A configuration that can be used, and is not in force yet. */
export interface ConfigRead {
  config: Config;
  /** Called when it is. @returns the client tokens that are to be in force with it */
  commit: () => ClientTokens | null;
}

export interface Sidecar {
  app: FastifyInstance;
  manager: CredentialManager;
  /** Hands out one record for each finished exchange. */
  observer: ExchangeLog;
  /**
   * Reads configuration and credential again, as `POST /auth/reload` and SIGHUP do.
   * @returns sections of the configuration that differ and need a restart
   * @throws SidecarError; then the old ones stay, but for a credential that is gone
   */
  reload(): Promise<string[]>;
  /** Puts other client tokens in force. */
  useClientTokens(tokens: ClientTokens): void;
  /**
   * From now on new requests are answered AUTH_DRAINING, and each WebSocket is closed with 1001
   * when it is idle; resolves when no exchange is open.
   */
  drain(): Promise<void>;
  /** Closes the WebSockets that are left with 1001, idle or not; waits two seconds at most. */
  leave(): Promise<void>;
}

/** Puts the parts together, in the order in which a request meets them. Does not listen yet. */
export async function buildServer(config: Config, deps: ServerDeps): Promise<Sidecar> {
  const { log, dispatcher, now } = deps;
  const backendClock = new BackendClock(now, log);
  const traffic = new Traffic(now, backendClock);
  const observer = new ExchangeLog(now, () => performance.now());
  const activity = new Activity(now);
  const metrics = new Metrics();
  let credentialChanges = 0;
  observer.add(traffic.finished);
  observer.add(activity.finished);
  if (config.metrics.enabled) observer.add(metrics.finished);
  if (deps.audit) observer.add(deps.audit.finished);
  // Whether anyone reads it does not change while we run.
  if (log.isLevelEnabled('debug')) observer.add((record) => logExchange(log, record));
  const startedAt = now();
  let draining = false;
  const manager = new CredentialManager({
    ...deps,
    config,
    backendNow: backendClock.now,
    http: createHttpClient(dispatcher, USER_AGENT, (date) => backendClock.observe(date)),
    version: VERSION,
    observe: (event) => {
      metrics.credential(event);
      if (event.type === 'changed') credentialChanges++;
      if (event.type !== 'assertionBuilt') events.publishSoon();
    },
  });
  const live = new LiveConfig(config, deps.clientTokens);
  // Of two at once the one that read first must not win.
  const reload = serialized(async () => {
    const next = await deps.readConfig();
    let restartNeededFor: string[] = [];
    const failure = await manager.reload(live.with(next.config), () => {
      restartNeededFor = live.apply(next.config, next.commit());
    });
    if (failure) throw failure;
    return restartNeededFor;
  });
  const upstreams = {
    chatgpt: parseUpstream(config.upstream.chatgptBaseUrl),
    openai: parseUpstream(config.upstream.openaiBaseUrl),
  };

  const status = () =>
    buildStatus({
      version: VERSION,
      uptimeMs: now() - startedAt,
      policy: live.config.agentIdentity.policy,
      draining,
      upstreamOrigins: { chatgpt: upstreams.chatgpt.origin, openai: upstreams.openai.origin },
      routes: live.routes,
      credential: manager.snapshot(),
      traffic: traffic.snapshot(),
    });
  const retryNow = () => manager.prepare();
  const events = new EventHub({
    status,
    retryNow,
    activity: () => activity.snapshot(),
    credentialChanges: () => credentialChanges,
  });
  const exposition = async () => {
    // Loading it takes 50 to 90 ms and 10 MB, which only those pay who ask for metrics.
    const { createExposition } = await import('../admin/prometheus.ts');
    const { audit } = deps;
    const auditLost = audit ? () => audit.lost : null;
    return createExposition({ metrics, status, listeners: () => events.listeners, auditLost });
  };

  const answers = new PendingResponses();
  const tunnels = new OpenTunnels(now);
  const app = createHttpServer(log, answers, observer);
  guardAccess(app, () => live.rules, now);
  app.addHook('onRequest', boundIdleConnections(app));
  app.addHook('onRequest', denyUnknownPath);
  await app.register(adminPlugin, {
    retryNow,
    reload,
    status,
    events,
    exposition: config.metrics.enabled ? exposition : null,
  });
  await app.register(proxyPlugin, {
    manager,
    dispatcher,
    upstreams,
    routes: () => live.routes,
    traffic,
    cookies: new CloudflareCookies(upstreams.chatgpt.origin, log),
    tunnels,
    bodyBytes: config.limits.bodyBytes,
    replay: new ReplayBudget(config.limits.replayBytes, config.limits.replayTotalBytes),
    maxConnections: config.upstream.maxConnections,
    isDraining: () => draining,
    answers,
    observer,
  });

  return {
    app,
    manager,
    observer,
    reload,
    useClientTokens: (tokens) => void live.apply(live.config, tokens),
    drain: async () => {
      draining = true;
      tunnels.drain();
      events.close();
      await traffic.idle();
    },
    leave: () => tunnels.leave(),
  };
}

function logExchange(log: Logger, record: ExchangeRecord): void {
  const { client, method, path, kind, status, durationMs, code, outcome } = record;
  const ms = Math.round(durationMs);
  log.debug({ client, method, path, kind, status, ms, code, outcome }, 'request');
}

// In a hook and not in the handler for it, which Fastify calls only after it has read the body.
function denyUnknownPath(
  request: FastifyRequest,
  _reply: FastifyReply,
  done: (error?: Error) => void,
): void {
  if (request.is404) {
    const what = request.method === 'TRACE' ? 'TRACE is not served' : 'no such path is served';
    done(new SidecarError('AUTH_ROUTE_DENIED', what));
  } else {
    done();
  }
}
