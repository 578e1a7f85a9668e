import type { FastifyInstance } from 'fastify';
import type { Dispatcher } from 'undici';
import type { AccessRules } from '../access/caller.ts';
import { guardAccess } from '../access/plugin.ts';
import { tokenEndpoint } from '../access/token-endpoint.ts';
import type { EventHub } from '../admin/events.ts';
import { type AdminOptions, adminElsewhere, adminPlugin, healthPlugin } from '../admin/plugin.ts';
import { mostFiles } from '../admin/process-metrics.ts';
import { scrape } from '../admin/prometheus.ts';
import type { StatusDocument } from '../admin/status.ts';
import type { Clock, MonotonicClock } from '../base/clock.ts';
import type { Logger } from '../base/logger.ts';
import type { CredentialManager } from '../credentials/manager.ts';
import type { SignInAttempts } from '../credentials/sign-in-attempt.ts';
import { DescriptorWatch } from '../inbound/descriptors.ts';
import type { LeavingConnections } from '../inbound/leaving-connections.ts';
import { limitIdleConnections } from '../inbound/limits.ts';
import { PendingResponses } from '../inbound/pending-responses.ts';
import { createHttpServer } from '../inbound/server.ts';
import { CloudflareCookies } from '../proxy/cookies.ts';
import { allowMethods, refuseConnect } from '../proxy/methods.ts';
import { type ProxyOptions, proxyPlugin } from '../proxy/plugin.ts';
import { ReplayBudget } from '../proxy/request-body.ts';
import type { OpenTunnels } from '../proxy/websocket/open-tunnels.ts';
import type { AuditLog } from '../telemetry/audit-log.ts';
import type { BuiltListener } from './listeners.ts';
import type { LiveConfig } from './live-config.ts';
import type { Listener } from './preflight.ts';
import { ServerTls } from './server-tls.ts';
import type { Telemetry } from './telemetry.ts';

/** What the servers are made of. */
export interface Parts {
  live: LiveConfig;
  telemetry: Telemetry;
  manager: CredentialManager;
  tunnels: OpenTunnels;
  upstreams: ProxyOptions['upstreams'];
  shutdown: { draining: boolean };
  leaving: LeavingConnections;
  tls: ServerTls;
  status: () => StatusDocument;
  events: EventHub;
  signIn: SignInAttempts;
  clients: AdminOptions['clients'];
  reload: () => Promise<string[]>;
}

interface AppDeps {
  keepsIdToken?: boolean;
  log: Logger;
  dispatcher: Dispatcher;
  now: Clock;
  monotonicNow: MonotonicClock;
  audit?: AuditLog | null;
  /** The operator's own listener; null: its endpoints are where clients call. */
  admin: Listener | null;
}

/** A server with everything that comes before its routes. */
function createServer(
  { telemetry, live }: Parts,
  { log, now, monotonicNow }: AppDeps,
  tls: ServerTls,
  rules: () => AccessRules,
) {
  const { exchangeLog } = telemetry;
  const pendingResponses = new PendingResponses();
  const descriptors = new DescriptorWatch(mostFiles(), monotonicNow, log);
  const identity = { tls: tls.identity };
  const app = createHttpServer({ log, pendingResponses, exchangeLog, descriptors, ...identity });
  tls.attach(app);
  live.onChange(guardAccess(app, rules, live.isRouted, tls.peers, now).check);
  limitIdleConnections(app);
  return { app, pendingResponses };
}

/** The operator's own listener: nothing is proxied there. */
export async function createAdminApp(
  parts: Parts,
  deps: AppDeps,
  listener: Listener,
): Promise<BuiltListener> {
  const { live, telemetry } = parts;
  const tls = new ServerTls(listener.tls?.read ?? null);
  const rules = () => live.adminRules ?? live.rules;
  const { app, pendingResponses } = createServer(parts, deps, tls, rules);
  allowMethods(app);
  refuseConnect(app.server, pendingResponses, telemetry.exchangeLog);
  await app.register(healthPlugin, adminOptions(parts, deps));
  await app.register(adminPlugin, adminOptions(parts, deps));
  return { app, tls, listener };
}

function adminOptions(parts: Parts, deps: AppDeps): AdminOptions {
  const { manager, reload, status, clients, events, signIn } = parts;
  const retryNow = () => manager.prepare();
  return { retryNow, reload, status, clients, events, signIn, scrape: scraper(parts, deps) };
}

/** The web application: what a request meets is listed from top to bottom. */
export async function createApp(parts: Parts, deps: AppDeps): Promise<FastifyInstance> {
  const { live, telemetry, manager, tunnels, upstreams, shutdown, leaving, tls } = parts;
  const { log, dispatcher, now } = deps;
  const { limits, upstream } = live.config;
  const { exchangeLog, traffic, backendClock, counters } = telemetry;
  const { app, pendingResponses } = createServer(parts, deps, tls, () => live.rules);
  leaving.watch(app.server);
  await app.register(healthPlugin, adminOptions(parts, deps));
  await app.register(deps.admin ? adminElsewhere : adminPlugin, adminOptions(parts, deps));
  await app.register(tokenEndpoint, {
    rules: () => live.rules,
    planType: () => (deps.keepsIdToken ? null : (manager.snapshot().account?.planType ?? null)),
    now,
  });
  await app.register(proxyPlugin, {
    manager,
    dispatcher,
    upstreams,
    routes: () => live.routes,
    traffic,
    counters,
    now,
    backendClock,
    cookies: new CloudflareCookies(upstreams.chatgpt.origin, log),
    tunnels,
    usage: telemetry.usage,
    bodyBytes: limits.bodyBytes,
    replay: new ReplayBudget(limits.replayBytes, limits.replayTotalBytes),
    maxConnections: upstream.maxConnections,
    isDraining: () => shutdown.draining,
    serves: (request, response) => leaving.serves(request, response),
    pendingResponses,
    exchangeLog,
  });
  return app;
}

/** What responds to `GET /metrics`; null when metrics are off. */
function scraper({ telemetry, status, events }: Parts, { audit }: AppDeps) {
  const { metrics } = telemetry;
  if (!metrics) return null;
  const auditLost = audit ? () => audit.lost : null;
  return () => scrape({ metrics, status, listeners: () => events.listeners, auditLost });
}
