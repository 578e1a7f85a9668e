import type { FastifyReply } from 'fastify';
import { SidecarError } from '../base/errors.ts';
import type { InboundRequest } from '../inbound/request-context.ts';
import type { Traffic } from '../telemetry/traffic.ts';
import { Attempt } from './attempt.ts';
import { continuation } from './expect-continue.ts';
import type { ForwardOptions, ProxiedRequest, UpstreamBase } from './proxied-request.ts';
import { openBody } from './request-body.ts';
import { isModelRoute, matchRoute } from './routes.ts';
import { checkHandshake, holdClient, isUpgrade } from './websocket/upgrade.ts';

export function parseUpstream(baseUrl: string): UpstreamBase {
  const { origin, pathname } = new URL(baseUrl);
  return { origin, basePath: pathname === '/' ? '' : pathname };
}

/** Authorise, scrub, inject, relay: the way of every proxied request. */
export async function forward(
  request: InboundRequest,
  reply: FastifyReply,
  options: ForwardOptions,
): Promise<void> {
  const { raw, target } = request;
  if (!target) throw new SidecarError('SIDECAR_INTERNAL', 'the request was not checked');
  checkCapacity(options);
  const upgrade = isUpgrade(raw);
  const closed = countExchange(reply, options.traffic, upgrade);
  const { path, query } = target;
  const rule = matchRoute(options.routes(), request.method, path, upgrade);
  request.exchange.kind = rule?.auth ?? 'deny';
  if (upgrade) checkHandshake(raw);
  if (!rule || rule.auth === 'deny') {
    throw new SidecarError('AUTH_ROUTE_DENIED', 'this route is not allowed');
  }
  // Awaited in any case: meanwhile the parser hands over the body that came along with the head.
  const authorization = await options.manager.authorize(rule.auth, isModelRoute(path));
  const wanted = continuation(raw, reply.raw);
  const body = upgrade ? null : openBody(raw, options.bodyBytes, options.replay, wanted);
  const held = upgrade ? holdClient(raw) : null;
  request.exchange.body = body;
  const passage: ProxiedRequest = {
    request,
    reply,
    options,
    rule,
    path,
    query,
    body,
    held,
    closed,
  };
  try {
    const outcome = await new Attempt(passage, authorization, true).send(body?.content ?? null);
    if (outcome === 'dropped') await replay(passage);
  } catch (error) {
    held?.refuse();
    throw error;
  } finally {
    body?.forget();
  }
  // The client may be gone before any answer; there is nobody left to answer then.
  if (!reply.sent) reply.hijack();
}

/** The one more try, with new headers; whatever comes of it goes to the client. */
async function replay(passage: ProxiedRequest): Promise<void> {
  const { rule, path, body, options } = passage;
  const authorization = await options.manager.authorize(rule.auth, isModelRoute(path));
  await new Attempt(passage, authorization, false).send(body?.replay() ?? null);
}

/**
 * Counts an exchange from its first check on, so that those that wait for a credential are seen by
 * the limit and by the drain. @returns what counts its end
 */
function countExchange(reply: FastifyReply, traffic: Traffic, upgrade: boolean): () => void {
  const closed = traffic.opened('http');
  reply.raw.on('close', closed);
  // A refused upgrade has had its whole answer long before its connection is closed.
  if (upgrade) reply.raw.on('finish', closed);
  return closed;
}

function checkCapacity({ isDraining, maxConnections, traffic }: ForwardOptions): void {
  if (isDraining()) {
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
