import type { FastifyInstance, FastifyRequest, RouteOptions } from 'fastify';
import type { Clock } from '../base/clock.ts';
import { SidecarError } from '../base/errors.ts';
import { isLoopbackHost } from '../base/host.ts';
import {
  type AccessLevel,
  type AccessRules,
  type Caller,
  checkAccess,
  checkLimits,
} from './caller.ts';
import { type NormalizedTarget, normalizeTarget } from './path.ts';

declare module 'fastify' {
  interface FastifyContextConfig {
    /** Who may call the route; a route without it does not start. */
    access?: AccessLevel;
    /** Lets the sidecar's own page read the route; only for reads that no token guards. */
    fromOwnPage?: true;
  }
  interface FastifyRequest {
    /** Normalised path and query; set before any handler of a `client` route. */
    target: NormalizedTarget | null;
    /** Name of the client token that was asked for and found; null where none was. */
    clientName: string | null;
  }
}

/**
 * Checks every request and upgrade, also those for which there is no route. Call it on the root
 * instance before any route is added.
 * @param rules asked at every request, because a reload may change them
 */
export function guardAccess(app: FastifyInstance, rules: () => AccessRules, now: Clock): void {
  app.decorateRequest('target', null);
  app.decorateRequest('clientName', null);
  app.addHook('onRoute', checkRoute);
  app.addHook('onRequest', (request, _reply, done) => {
    try {
      admit(request, rules(), now);
      done();
    } catch (error) {
      done(error as Error);
    }
  });
}

function admit(request: FastifyRequest, rules: AccessRules, now: Clock): void {
  const { access: level = 'client', fromOwnPage = false } = request.routeOptions.config;
  const caller = describeCaller(request, rules.viaSocket);
  const token = checkAccess(caller, { level, fromOwnPage }, rules);
  // Before its limits: a refusal has a name too.
  request.clientName = token?.name ?? null;
  if (level === 'client' || token) {
    const target = requireTarget(request.raw.url ?? '');
    if (level === 'client') request.target = target;
    if (token) checkLimits(token, target.path, now());
  }
}

function checkRoute({ url, method, config }: RouteOptions): void {
  if (!config?.access) throw new Error(`route ${url} has no access level`);
  const reads = [method].flat().every((name) => name === 'GET' || name === 'HEAD');
  if (config.fromOwnPage && (config.access === 'client' || !reads)) {
    throw new Error(`route ${url} is not for pages: it changes something, or wants a token`);
  }
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
