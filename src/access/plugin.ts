import { TLSSocket } from 'node:tls';
import type { FastifyInstance, RouteOptions } from 'fastify';
import type { Clock } from '../base/clock.ts';
import { SidecarError } from '../base/errors.ts';
import { isLoopbackHost } from '../base/host.ts';
import type { PeerCertificates } from '../inbound/peer-certificates.ts';
import type { InboundRequest, NormalizedTarget } from '../inbound/request-context.ts';
import { routePath, withPathHint } from '../inbound/route-names.ts';
import { type AccessRules, attribute, type Caller, checkAccess, checkRights } from './caller.ts';
import { OpenRequests, type RouteCheck } from './open-requests.ts';
import { normalizeTarget } from './path.ts';

/**
 * Checks every request and upgrade, also those for which there is no route. Call it on the root
 * instance before any route is added.
 * @param rules asked at every request, because a reload may change them
 * @param isRouted asked again of each open request
 * @returns what was let in; to be checked when the rules have changed
 */
export function guardAccess(
  app: FastifyInstance,
  rules: () => AccessRules,
  isRouted: RouteCheck,
  peers: PeerCertificates,
  now: Clock,
): Pick<OpenRequests, 'check'> {
  peers.watch(app.server);
  const open = new OpenRequests(rules, isRouted, peers, now);
  app.decorateRequest('target', null);
  app.decorateRequest('client', null);
  app.addHook('onRoute', checkRoute);
  app.addHook('onRequest', (request, _reply, done) => {
    try {
      admit(request, { rules: rules(), peers, now, open });
      done();
    } catch (error) {
      done(error as Error);
    }
  });
  app.addHook('onClose', async () => open.stop());
  return open;
}

/** What a request is checked with. */
interface Gate {
  rules: AccessRules;
  peers: PeerCertificates;
  now: Clock;
  open: OpenRequests;
}

/**
 * @throws SidecarError when the request is refused, or there is no route for it. That is said here
 *   and not in Fastify's handler for it, which is called only after the body has been read.
 */
function admit(request: InboundRequest, { rules, peers, now, open }: Gate): void {
  const { config } = request.routeOptions;
  const { access: level = 'client', fromOwnPage = false, byOwnPage = false, own } = config;
  const caller = describeCaller(request, rules.viaSocket, peers);
  const client = checkAccess(caller, { level, fromOwnPage, byOwnPage }, rules);
  // Set before its rights are checked, so a refused request is logged with its client.
  attribute(request, client);
  if (level === 'client' || client) {
    const target = requireTarget(request.raw.url ?? '');
    if (level === 'client') request.target = target;
    if (client) checkRights(client, target.path, now());
    // A reload that takes the right from whoever asked for it is still responded to.
    if (!own || request.method === 'GET') open.add(request, target.path);
  }
  if (request.is404) {
    const path = normalizeTarget(request.raw.url ?? '')?.path ?? '';
    const what =
      request.method === 'TRACE'
        ? 'TRACE is not served'
        : withPathHint('no such path is served', path);
    throw new SidecarError('AUTH_ROUTE_DENIED', what);
  }
}

function checkRoute({ url, method, config }: RouteOptions): void {
  if (!config?.access) throw new Error(`route ${url} has no access level`);
  const reads = [method].flat().every((name) => name === 'GET' || name === 'HEAD');
  if (config.fromOwnPage && (config.access === 'client' || !reads)) {
    throw new Error(`route ${url} is not for pages: it changes something, or needs a token`);
  }
}

function requireTarget(url: string): NormalizedTarget {
  const target = normalizeTarget(url);
  if (target) {
    const path = routePath(target.path);
    return path === target.path ? target : { path, query: target.query };
  }
  throw new SidecarError(
    'AUTH_PATH_INVALID',
    'the path has dot segments, empty segments or encoded separators; send it in normal form',
  );
}

function describeCaller(
  request: InboundRequest,
  viaSocket: boolean,
  peers: PeerCertificates,
): Caller {
  const { headers, socket } = request.raw;
  return {
    // Empty once a TCP client is gone, which then counts as coming from another machine.
    local: viaSocket || isLoopbackHost(socket.remoteAddress ?? ''),
    host: headers.host,
    localAddress: socket.localAddress,
    origin: headers.origin,
    encrypted: socket instanceof TLSSocket,
    secFetchSite: single(headers['sec-fetch-site']),
    authorization: headers.authorization,
    sidecarToken: single(headers['x-sidecar-token']),
    certificate: peers.of(socket),
  };
}

function single(value: string | string[] | undefined): string | undefined {
  return Array.isArray(value) ? value.join(', ') : value;
}
