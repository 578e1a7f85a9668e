import type { FastifyInstance, FastifyReply } from 'fastify';
import { SidecarError } from '../base/errors.ts';
import type { SignInAttempts } from '../credentials/sign-in-attempt.ts';
import type { InboundRequest, RouteFlags } from '../inbound/request-context.ts';
import { PROMETHEUS_CONTENT_TYPE } from '../telemetry/prometheus-text.ts';
import type { ClientsDocument } from './clients.ts';
import type { EventHub } from './events.ts';
import { buildStatusPage, type StatusPage } from './page/index.ts';
import { isNavigation, prefersHtml } from './prefers-html.ts';
import { addSignIn } from './sign-in.ts';
import { isUsable, type StatusDocument } from './status.ts';

export interface HealthOptions {
  status: () => StatusDocument;
  clients: () => ClientsDocument;
  /**
   * Tries what a failed start left undone. Probes call it, so that a sidecar without traffic mends
   * itself; it never rejects.
   */
  retryNow: () => Promise<void>;
}

export interface AdminOptions extends HealthOptions {
  /**
   * Reads configuration and credential again. @returns settings that need a restart
   * @throws SidecarError when the new ones cannot be used; the old ones stay in force then
   */
  reload: () => Promise<string[]>;
  events: EventHub;
  signIn: SignInAttempts;
  /** The text of `GET /metrics`; null leaves the path unknown. */
  scrape: (() => string) | null;
}

/** Open to this machine, and to the page that comes from here. */
const READABLE = { access: 'local', own: true, fromOwnPage: true } as const satisfies RouteFlags;
const OPEN = { access: 'open', own: true, brief: true } as const satisfies RouteFlags;

/** What is for the operator: it shows the state, or changes it. */
export async function adminPlugin(app: FastifyInstance, options: AdminOptions): Promise<void> {
  addRoot(app);
  addStatus(app, options);
  app.get('/auth/clients', { config: { ...READABLE, brief: true } }, (_request, reply) => {
    reply.header('cache-control', 'no-store').send(options.clients());
  });
  addEvents(app, options.events);
  addSignIn(app, options.signIn);
  if (options.scrape) addMetrics(app, options.scrape);

  app.post('/auth/reload', { config: { access: 'client', own: true } }, async () => {
    const restartNeededFor = await options.reload();
    return { reloaded: true, restartNeededFor };
  });
}

/** The same endpoints where clients call, if the operator has a listener of their own: refused, by name. */
export async function adminElsewhere(app: FastifyInstance, options: AdminOptions): Promise<void> {
  // Behind the checks of the whole server.
  app.addHook('onRequest', (_request, _reply, done) =>
    done(
      new SidecarError(
        'AUTH_ROUTE_DENIED',
        "this is for the operator, and served on the operator's own listener only (admin.listen)",
      ),
    ),
  );
  await app.register(adminPlugin, options);
}

/** What probes ask for: a word, which tells nobody anything. */
export async function healthPlugin(app: FastifyInstance, options: HealthOptions): Promise<void> {
  app.get('/livez', { config: OPEN }, (_request, reply) => {
    reply.header('cache-control', 'no-store').send({ status: 'live' });
  });

  app.get('/readyz', { config: OPEN }, (_request, reply) => {
    void options.retryNow();
    const { status } = options.status();
    reply
      .code(isUsable(status) ? 200 : 503)
      .header('cache-control', 'no-store')
      .send({ status });
  });
}

/** Who opens the bare address in a browser gets to the status page; for programs there is nothing. */
function addRoot(app: FastifyInstance): void {
  app.get('/', { config: { ...READABLE, brief: true } }, (request, reply) => {
    if (!isNavigation(request.headers)) {
      throw new SidecarError('AUTH_ROUTE_DENIED', 'no such path is served');
    }
    reply.header('cache-control', 'no-store').redirect('/auth/status');
  });
}

function addStatus(app: FastifyInstance, options: AdminOptions): void {
  let page: StatusPage | null = null;
  app.get('/auth/status', { config: { ...READABLE, brief: true } }, (request, reply) => {
    void options.retryNow();
    reply.header('vary', 'accept');
    if (prefersHtml(request.headers.accept)) {
      page ??= buildStatusPage();
      // The page is there whatever it shows; the status code of the JSON is for probes.
      reply.headers(page.headers).send(page.html);
      return;
    }
    const status = options.status();
    reply
      .code(isUsable(status.status) ? 200 : 503)
      .header('cache-control', 'no-store')
      .send(status);
  });
}

function addEvents(app: FastifyInstance, events: EventHub): void {
  // A HEAD would never end.
  app.get(
    '/auth/events',
    { config: READABLE, exposeHeadRoute: false },
    (request: InboundRequest, reply) => {
      events.checkRoom();
      request.exchange.ending = 'complete';
      reply.hijack();
      startEventStream(reply);
      events.add(reply.raw, (bytes) => {
        request.exchange.bytesDown += bytes;
      });
    },
  );
}

function startEventStream(reply: FastifyReply): void {
  reply.raw.writeHead(200, {
    'content-type': 'text/event-stream; charset=utf-8',
    'cache-control': 'no-store',
    'x-content-type-options': 'nosniff',
    // nginx would keep the events back.
    'x-accel-buffering': 'no',
  });
}

function addMetrics(app: FastifyInstance, scrape: () => string): void {
  const config = { access: 'local', own: true, brief: true } as const satisfies RouteFlags;
  app.get('/metrics', { config }, (_request, reply) => {
    reply.header('cache-control', 'no-store').type(PROMETHEUS_CONTENT_TYPE).send(scrape());
  });
}
