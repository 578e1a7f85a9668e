import type { FastifyInstance, FastifyReply } from 'fastify';
import type { ExchangeLog, OpenExchange } from '../telemetry/exchange-record.ts';
import type { ArrivalStep, InboundRequest } from './request-context.ts';

/**
 * Opens and closes the record of every request and upgrade, also of those that are refused or match
 * no route. @returns the step that comes before every check
 */
export function recordExchanges(app: FastifyInstance, exchangeLog: ExchangeLog): ArrivalStep {
  // Typed as always there, because the step below comes before every reader.
  app.decorateRequest('exchange', null as unknown as OpenExchange);
  app.addHook('preClose', (done) => {
    exchangeLog.shuttingDown = true;
    done();
  });
  return (request, reply) => {
    beginExchange(exchangeLog, request, reply);
  };
}

/** For a request that Fastify refuses before its hooks, too. */
export function beginExchange(
  exchangeLog: ExchangeLog,
  request: InboundRequest,
  reply: FastifyReply,
): OpenExchange {
  const { raw } = request;
  // Node's own mark of an upgrade; its types do not know it.
  const isUpgrade = (raw as { upgrade?: boolean }).upgrade === true;
  const exchange = exchangeLog.begin(raw.method ?? null, isUpgrade);
  request.exchange = exchange;
  const response = reply.raw;
  const end = () => {
    if (exchange.finished) return;
    complete(exchange, request, reply);
    exchangeLog.finish(exchange, response.writableFinished);
  };
  exchange.end = end;
  exchange.cut = () => {
    exchange.ending = 'revoked';
    response.destroy();
  };
  response.on('close', end);
  // The whole response to a refused upgrade is sent long before its connection is closed.
  if (isUpgrade) response.on('finish', end);
  return exchange;
}

/** Fills in what is known only at the end. */
function complete(exchange: OpenExchange, request: InboundRequest, reply: FastifyReply): void {
  exchange.path = request.target?.path ?? pathOf(request.raw.url);
  if (exchange.kind === 'unmatched' && request.routeOptions.config.own) exchange.kind = 'own';
  if (exchange.passed) {
    const { up, down } = exchange.passed();
    exchange.body = { size: up };
    exchange.bytesDown = down;
  }
  exchange.status ??= reply.raw.headersSent ? reply.raw.statusCode : null;
  const answeredHere = exchange.kind === 'own' || exchange.code !== null;
  if (answeredHere && exchange.bytesDown === 0 && exchange.method !== 'HEAD') {
    exchange.bytesDown = Number(reply.getHeader('content-length') ?? 0);
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
