import httpProxy from '@fastify/http-proxy';
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import type { PendingResponses } from '../inbound/pending-responses.ts';
import type { RouteFlags } from '../inbound/request-context.ts';
import { OTHER_NAMES } from '../inbound/route-names.ts';
import type { ExchangeLog } from '../telemetry/exchange-record.ts';
import { routeExpectations } from './expect-continue.ts';
import { forward } from './forward.ts';
import { allowMethods, PROXIED_METHODS, refuseConnect } from './methods.ts';
import type { ForwardOptions } from './proxied-request.ts';
import { PROXY_PREFIX } from './routes.ts';
import { routeUpgrades } from './websocket/upgrade.ts';

export interface ProxyOptions extends ForwardOptions {
  pendingResponses: PendingResponses;
  exchangeLog: ExchangeLog;
}

/**
 * Mounts the proxied prefix, and the other names of its routes. http-proxy gives its routes and hands
 * the body on unread; the relay is ours (see `relay.ts` and `upgrade.ts` for what reply-from gets wrong).
 */
export async function proxyPlugin(app: FastifyInstance, options: ProxyOptions): Promise<void> {
  routeUpgrades(app, options.pendingResponses);
  routeExpectations(app);
  allowMethods(app);
  refuseConnect(app.server, options.pendingResponses, options.exchangeLog);
  const config = { access: 'client' } satisfies RouteFlags;
  const start = (request: FastifyRequest, reply: FastifyReply) => {
    forward(request, reply, options).catch((error: unknown) => reply.send(error));
  };
  for (const url of OTHER_NAMES.keys()) {
    app.route({ method: PROXIED_METHODS, url, config, exposeHeadRoute: false, handler: start });
  }
  await app.register(httpProxy, {
    upstream: options.upstreams.chatgpt.origin,
    prefix: PROXY_PREFIX,
    rewritePrefix: PROXY_PREFIX,
    httpMethods: PROXIED_METHODS,
    undici: options.dispatcher,
    config,
    // Not http-proxy's handler, which first parses three URLs a request for a destination of its
    // own. The request ends here: the hook never calls `done`.
    preHandler: (request: FastifyRequest, reply: FastifyReply, _done: () => void) =>
      start(request, reply),
  });
}
