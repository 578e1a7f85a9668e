import httpProxy from '@fastify/http-proxy';
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import type { Dispatcher } from 'undici';
import type { RouteRule } from '../config.ts';
import type { CredentialManager } from '../credentials/manager.ts';
import { SidecarError } from '../errors.ts';
import type { OpenAnswers } from '../open-answers.ts';
import type { Traffic } from '../traffic.ts';
import { limitedBody } from './body-limit.ts';
import { switchingHeaders, upstreamHeaders } from './headers.ts';
import { type Exchange, relay } from './relay.ts';
import { isModelRoute, matchRoute, PROXY_PREFIX, upstreamPath } from './routes.ts';
import { holdClient, isUpgrade, routeUpgrades } from './upgrade.ts';

/** An upstream: origin, and path of its base URL without a trailing slash. */
export interface UpstreamBase {
  origin: string;
  basePath: string;
}

export interface ProxyOptions {
  manager: Pick<CredentialManager, 'authorize'>;
  dispatcher: Dispatcher;
  upstreams: { chatgpt: UpstreamBase; openai: UpstreamBase };
  routes: readonly RouteRule[];
  traffic: Traffic;
  bodyBytes: number;
  maxConnections: number | null;
  isDraining: () => boolean;
  answers: OpenAnswers;
}

export function parseUpstream(baseUrl: string): UpstreamBase {
  const { origin, pathname } = new URL(baseUrl);
  return { origin, basePath: pathname.replace(/\/+$/, '') };
}

/**
 * Mounts the proxied prefix. http-proxy gives the routes and hands the body on unread; the relay
 * is ours (see `relay.ts` and `upgrade.ts` for what reply-from gets wrong).
 */
export async function proxyPlugin(app: FastifyInstance, options: ProxyOptions): Promise<void> {
  routeUpgrades(app, options.answers);
  await app.register(httpProxy, {
    upstream: options.upstreams.chatgpt.origin,
    prefix: PROXY_PREFIX,
    rewritePrefix: PROXY_PREFIX,
    undici: options.dispatcher,
    config: { access: 'client' },
    handler: (request: FastifyRequest, reply: FastifyReply) => {
      forward(request, reply, options).catch((error: unknown) => reply.send(error));
    },
  });
}

/** Authorise, scrub, inject, relay: the way of every proxied request. */
async function forward(
  request: FastifyRequest,
  reply: FastifyReply,
  options: ProxyOptions,
): Promise<void> {
  const { raw, target } = request;
  if (!target) throw new SidecarError('SIDECAR_INTERNAL', 'the request was not checked');
  checkCapacity(options);
  const closed = countExchange(reply, options.traffic);
  const upgrade = isUpgrade(raw);
  const rule = ruleFor(request.method, target.path, upgrade, options);
  const pending = options.manager.authorize(rule.auth, isModelRoute(target.path));
  const authorization = pending instanceof Promise ? await pending : pending;
  const { origin, basePath } = options.upstreams[authorization.upstream];
  if (authorization.headers) options.traffic.request(authorization.headers.kind);
  const exchange: Exchange = {
    dispatcher: options.dispatcher,
    origin,
    path: upstreamPath(authorization.upstream, basePath, target.path) + target.query,
    method: request.method,
    headers: upstreamHeaders(raw.rawHeaders, authorization.headers),
    body: upgrade ? null : limitedBody(raw, options.bodyBytes),
    upgrade,
  };
  await relayExchange(exchange, request, reply, options.traffic, closed);
  // The client may be gone before any answer; there is nobody left to answer then.
  if (!reply.sent) reply.hijack();
}

/**
 * Counts an exchange from its first check on, so that those that wait for a credential are seen by
 * the limit and by the drain. @returns what counts its end
 */
function countExchange(reply: FastifyReply, traffic: Traffic): () => void {
  const closed = traffic.opened('http');
  // A refused upgrade has had its whole answer long before its connection is closed.
  reply.raw.once('finish', closed);
  reply.raw.once('close', closed);
  return closed;
}

async function relayExchange(
  exchange: Exchange,
  request: FastifyRequest,
  reply: FastifyReply,
  traffic: Traffic,
  closed: () => void,
): Promise<void> {
  const held = exchange.upgrade ? holdClient(request.raw) : null;
  try {
    await relay(exchange, reply.raw, {
      onStart: (status, rawHeaders) => {
        traffic.answered(status, rawHeaders);
        held?.refuse();
        reply.hijack();
      },
      onUpgrade: (rawHeaders, socket) => {
        traffic.answered(101, rawHeaders);
        reply.hijack();
        // Counted before the other ends, so that a drain sees no gap.
        socket.once('close', traffic.opened('websocket'));
        closed();
        held?.join(reply.raw, switchingHeaders(rawHeaders), socket);
      },
    });
  } catch (error) {
    held?.refuse();
    throw error;
  }
}

function ruleFor(
  method: string,
  path: string,
  upgrade: boolean,
  { routes, traffic }: ProxyOptions,
): RouteRule {
  const rule = matchRoute(routes, method, path, upgrade);
  if (rule && rule.auth !== 'deny') return rule;
  traffic.request('denied');
  throw new SidecarError('AUTH_ROUTE_DENIED', 'this route is not allowed');
}

function checkCapacity({ isDraining, maxConnections, traffic }: ProxyOptions): void {
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
