import type { FastifyReply } from 'fastify';
import { SidecarError } from '../base/errors.ts';
import type { InboundRequest } from '../inbound/request-context.ts';
import { withPathHint } from '../inbound/route-names.ts';
import type { Traffic } from '../telemetry/traffic.ts';
import { Attempt } from './attempt.ts';
import { judgeBody, useClient } from './client-use.ts';
import { continuation } from './expect-continue.ts';
import type { ForwardOptions, ProxiedRequest } from './proxied-request.ts';
import { openBody } from './request-body.ts';
import { isModelRoute, matchRoute } from './routes.ts';
import { checkHandshake } from './websocket/handshake.ts';
import { waitingClientOf } from './websocket/upgrade.ts';

/**
 * The way of every proxied request: match its route, authorise it, and send it, a second time with a
 * new credential when the upstream rejects the first one. See `attempt.ts` for one try and `relay.ts`
 * for the exchange with the upstream.
 */
export async function forward(
  request: InboundRequest,
  reply: FastifyReply,
  options: ForwardOptions,
): Promise<void> {
  const { raw, target } = request;
  if (!target) throw new SidecarError('SIDECAR_INTERNAL', 'the request was not checked');
  const waiting = waitingClientOf(reply.raw);
  const upgrade = waiting !== null;
  checkCapacity(request, reply, upgrade, options);
  const closed = countExchange(request, options.traffic);
  const { path, query } = target;
  const rule = matchRoute(options.routes(), request.method, path, upgrade);
  request.exchange.kind = rule?.auth ?? 'deny';
  if (upgrade) checkHandshake(raw);
  if (!rule || rule.auth === 'deny') {
    const problem = `no rule of "routes" allows this ${request.method} here; only the operator can add one`;
    throw new SidecarError('AUTH_ROUTE_DENIED', rule ? problem : withPathHint(problem, path));
  }
  useClient(request, path, upgrade, options);
  // Awaited in any case: meanwhile the parser hands over a body that came together with the head.
  const authorization = await options.manager.authorize(rule.auth, isModelRoute(path));
  const wanted = continuation(raw, reply.raw);
  const { bodyBytes } = options;
  const judged = upgrade ? null : judgeBody(request, path, bodyBytes);
  const content = judged?.content ?? null;
  const body = upgrade ? null : openBody(raw, bodyBytes, options.replay, wanted, content);
  waiting?.hold();
  request.exchange.body = body;
  const proxied: ProxiedRequest = {
    request,
    reply,
    options,
    rule,
    path,
    query,
    body,
    waiting,
    closed,
  };
  try {
    // A client that waits for 100 (Continue) sends its body only when the upstream wants it.
    if (!raw.headers.expect) await judged?.head;
    const outcome = await new Attempt(proxied, authorization, true).send(body?.content ?? null);
    if (outcome === 'dropped') await replay(proxied);
  } finally {
    waiting?.release();
    body?.forget();
  }
  // The relay has written the response, or the client is gone: Fastify has nothing to send.
  if (!reply.sent) reply.hijack();
}

/** The one more try, with new headers; whatever comes of it goes to the client. */
async function replay(proxied: ProxiedRequest): Promise<void> {
  const { rule, path, body, options } = proxied;
  const authorization = await options.manager.authorize(rule.auth, isModelRoute(path));
  await new Attempt(proxied, authorization, false).send(body?.replay() ?? null);
}

/**
 * Counts an exchange from its first check on, so that the limit and the drain also see exchanges that
 * wait for a credential. @returns a function that counts its end
 */
function countExchange({ exchange }: InboundRequest, traffic: Traffic): () => void {
  const closed = traffic.opened('http');
  exchange.whenFinished(closed);
  return closed;
}

function checkCapacity(
  { raw }: InboundRequest,
  reply: FastifyReply,
  upgrade: boolean,
  { isDraining, serves, maxConnections, traffic }: ForwardOptions,
): void {
  // A WebSocket would begin what the shutdown has to wait for.
  if (isDraining() && (upgrade || !serves(raw, reply.raw))) {
    throw new SidecarError('AUTH_DRAINING', 'the sidecar is shutting down', {
      retryAfterSeconds: 1,
    });
  }
  if (maxConnections !== null && traffic.open >= maxConnections) {
    throw new SidecarError(
      'UPSTREAM_BUSY',
      `${maxConnections} requests are open already (upstream.maxConnections)`,
      { retryAfterSeconds: 1 },
    );
  }
}
