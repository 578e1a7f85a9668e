import type { FastifyInstance, FastifyRequest } from 'fastify';
import { SidecarError } from '../errors.ts';
import { isLoopbackHost } from '../loopback.ts';
import { type AccessLevel, type AccessRules, type Caller, checkAccess } from './caller.ts';
import { type NormalizedTarget, normalizeTarget } from './path.ts';

declare module 'fastify' {
  interface FastifyContextConfig {
    /** Who may call the route; a route without it does not start. */
    access?: AccessLevel;
  }
  interface FastifyRequest {
    /** Normalised path and query; set before any handler of a `client` route. */
    target: NormalizedTarget | null;
  }
}

/**
 * Checks every request and upgrade, also those for which there is no route. Call it on the root
 * instance before any route is added.
 * @param rules asked at every request, because a reload may change them
 */
export function guardAccess(app: FastifyInstance, rules: () => AccessRules): void {
  app.decorateRequest('target', null);
  app.addHook('onRoute', (route) => {
    if (!route.config?.access) throw new Error(`route ${route.url} has no access level`);
  });
  app.addHook('onRequest', (request, _reply, done) => {
    try {
      const level = request.routeOptions.config.access ?? 'client';
      const current = rules();
      checkAccess(describeCaller(request, current.viaSocket), level, current);
      if (level === 'client') request.target = requireTarget(request.raw.url ?? '');
      done();
    } catch (error) {
      done(error as Error);
    }
  });
}

function requireTarget(url: string): NormalizedTarget {
  const target = normalizeTarget(url);
  if (target) return target;
  throw new SidecarError(
    'AUTH_PATH_INVALID',
    'the path has dot segments, empty segments or encoded separators; send it in normal form',
  );
}

function describeCaller(request: FastifyRequest, viaSocket: boolean): Caller {
  const { headers, socket } = request.raw;
  return {
    // Empty once a TCP client is gone: such a one counts as coming from elsewhere.
    local: viaSocket || isLoopbackHost(socket.remoteAddress ?? ''),
    host: headers.host,
    localAddress: socket.localAddress,
    origin: headers.origin,
    secFetchSite: single(headers['sec-fetch-site']),
    authorization: headers.authorization,
    sidecarToken: single(headers['x-sidecar-token']),
  };
}

function single(value: string | string[] | undefined): string | undefined {
  return Array.isArray(value) ? value.join(', ') : value;
}
