import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import type { ExchangeLog, OpenExchange } from '../telemetry/exchange-record.ts';

declare module 'fastify' {
  interface FastifyContextConfig {
    /** One of the sidecar's own endpoints, as opposed to a proxied route. */
    own?: boolean;
    /**
     * Asks for no token here and is answered at once. Its connection counts as one that waits, or
     * answers that nobody reads would keep any number of them.
     */
    brief?: true;
  }
  interface FastifyRequest {
    /** What is noted of the exchange; set before any check. */
    observation: OpenExchange;
  }
}

/**
 * Observes every request and upgrade, also those that are refused or match nothing. Call it on the
 * root instance before any other hook is added.
 */
export function observeExchanges(app: FastifyInstance, observer: ExchangeLog): void {
  // Typed as always there, because the hook below comes before every reader.
  app.decorateRequest('observation', null as unknown as OpenExchange);
  app.addHook('onRequest', (request, reply, done) => {
    beginExchange(observer, request, reply);
    done();
  });
  app.addHook('preClose', (done) => {
    observer.shuttingDown = true;
    done();
  });
}

/** For a request that Fastify refuses before its hooks, too. */
export function beginExchange(
  observer: ExchangeLog,
  request: FastifyRequest,
  reply: FastifyReply,
): OpenExchange {
  const { raw } = request;
  // Node's own mark of an upgrade; its types do not know it.
  const isUpgrade = (raw as { upgrade?: boolean }).upgrade === true;
  const observation = observer.begin(raw.method ?? null, isUpgrade);
  request.observation = observation;
  const response = reply.raw;
  const end = () => {
    if (observation.finished) return;
    complete(observation, request, reply);
    observer.finish(observation, response.writableFinished);
  };
  observation.end = end;
  response.on('close', end);
  // A refused upgrade has had its whole answer long before its connection is closed.
  if (isUpgrade) response.on('finish', end);
  return observation;
}

/** Fills in what shows only at the end. */
function complete(observation: OpenExchange, request: FastifyRequest, reply: FastifyReply): void {
  // Fastify refuses some before the access rules name their client.
  observation.client = request.clientName ?? null;
  observation.path = request.target?.path ?? pathOf(request.raw.url);
  if (observation.kind === 'unmatched' && request.routeOptions.config.own) observation.kind = 'own';
  if (observation.passed) {
    const { up, down } = observation.passed();
    observation.body = { size: up };
    observation.bytesDown = down;
  }
  observation.status ??= reply.raw.headersSent ? reply.raw.statusCode : null;
  const answeredHere = observation.kind === 'own' || observation.code !== null;
  if (answeredHere && observation.bytesDown === 0 && observation.method !== 'HEAD') {
    observation.bytesDown = Number(reply.getHeader('content-length') ?? 0);
  }
}

/** What a refused client sent as its path is cut off here. */
const LONGEST_PATH = 512;

/** null for a target in another form, which may hold a password. */
function pathOf(target: string | undefined): string | null {
  if (!target?.startsWith('/')) return null;
  const mark = target.indexOf('?');
  return target.slice(0, Math.min(mark === -1 ? target.length : mark, LONGEST_PATH));
}
