import { isIPv6 } from 'node:net';
import { SidecarError } from '../base/errors.ts';
import { isHost, isLoopbackHost, parseHost } from '../base/host.ts';
import type { ClientCertificates } from '../clients/client-certificates.ts';
import { type Client, type ClientTokens, reachesPath } from '../clients/client-tokens.ts';
import type { PeerCertificate } from '../inbound/peer-certificates.ts';
import type { AccessLevel, InboundRequest } from '../inbound/request-context.ts';

/** What is known of a caller before anything of the request is trusted. */
export interface Caller {
  /** Whether the connection comes from this machine or through the Unix socket. */
  local: boolean;
  host: string | undefined;
  /** Our own address on this connection; behind a wildcard it is the listening address. */
  localAddress: string | undefined;
  origin: string | undefined;
  /** Whether the connection is TLS. */
  encrypted: boolean;
  secFetchSite: string | undefined;
  authorization: string | undefined;
  sidecarToken: string | undefined;
  /** What the client has shown of itself in the TLS handshake; null: nothing. */
  certificate: PeerCertificate | null;
}

export interface AccessRules {
  /** Whether the server listens on a Unix socket, where a host name means nothing. */
  viaSocket: boolean;
  /** Otherwise the address that the server listens on. */
  listenHost: string;
  allowedHosts: readonly string[];
  allowedOrigins: readonly string[];
  /** null: there are none; without certificates either, clients need no token. */
  tokens: ClientTokens | null;
  /** Client certificates that stand for a token; null: none is asked for. */
  certificates: ClientCertificates | null;
}

/** Who may call a route. */
interface RouteAccess {
  level: AccessLevel;
  /** Whether the sidecar's own page may read it; its browser sends `same-origin`. */
  fromOwnPage: boolean;
  /** Whether nobody else may call it, and only from this machine. */
  byOwnPage?: boolean;
}

/**
 * The one gate for HTTP requests and upgrades alike.
 * @returns the client; null where it need not be known
 * @throws SidecarError AUTH_HOST_NOT_ALLOWED, AUTH_ORIGIN_NOT_ALLOWED or AUTH_CLIENT_TOKEN
 */
export function checkAccess(
  caller: Caller,
  { level, fromOwnPage, byOwnPage = false }: RouteAccess,
  rules: AccessRules,
): Client | null {
  if (!rules.viaSocket && !isAllowedHost(caller, rules)) {
    throw new SidecarError(
      'AUTH_HOST_NOT_ALLOWED',
      'the Host header names neither loopback nor the listening address; add it to clients.allowedHosts',
    );
  }
  if (byOwnPage) {
    checkOwnPage(caller, rules);
  } else if (!isAllowedOrigin(caller, fromOwnPage, rules)) {
    throw new SidecarError(
      'AUTH_ORIGIN_NOT_ALLOWED',
      'requests from web pages are refused; add the origin to clients.allowedOrigins',
    );
  }
  const needsNone = rules.tokens === null && rules.certificates === null;
  if (level === 'open' || (level === 'local' && caller.local) || needsNone) return null;
  return identify(caller, rules);
}

/** The page that changes something comes from here: by its address, its listener, and its browser. */
function checkOwnPage(caller: Caller, { viaSocket, listenHost }: AccessRules): void {
  if (!isOwnOrigin(caller)) {
    throw new SidecarError(
      'AUTH_ORIGIN_NOT_ALLOWED',
      "this is for the sidecar's own page only; open /auth/status in a browser on its machine",
    );
  }
  const name = parseHost(caller.host ?? '')?.name ?? '';
  if (viaSocket || !caller.local || !isLoopbackHost(listenHost) || !isLoopbackHost(name)) {
    throw new SidecarError(
      'AUTH_ROUTE_DENIED',
      'this is for a browser on the machine of the sidecar, at a loopback address; use the commands instead',
    );
  }
}

// A browser sends Origin with everything but GET and HEAD (Fetch Standard, section 3.2).
function isOwnOrigin({ origin, host, encrypted, secFetchSite: site }: Caller): boolean {
  if (origin !== `${encrypted ? 'https' : 'http'}://${host}`) return false;
  return site === undefined || site === 'same-origin';
}

/** A token that is sent decides, right or wrong. A certificate stands in where none is. */
function identify(caller: Caller, { tokens, certificates }: AccessRules): Client {
  const given = presentedToken(caller);
  if (given === null && certificates !== null && caller.certificate !== null) {
    return identifyByCertificate(caller.certificate, certificates);
  }
  const client = tokens?.find(given);
  if (client) return client;
  const send = 'send it as "Authorization: Bearer" or "x-sidecar-token"';
  throw new SidecarError(
    'AUTH_CLIENT_TOKEN',
    `missing or wrong client token; ${certificates === null ? send : `${send}, or show a client certificate`}`,
  );
}

function identifyByCertificate(
  certificate: PeerCertificate,
  certificates: ClientCertificates,
): Client {
  if (certificate.problem !== null) {
    throw new SidecarError(
      'AUTH_CLIENT_TOKEN',
      `the client certificate is not accepted (${certificate.problem})`,
    );
  }
  const client = certificates.find(certificate);
  if (client) return client;
  throw new SidecarError(
    'AUTH_CLIENT_TOKEN',
    'the client certificate has no name that listen.tls.clientNames holds',
  );
}

/** Notes whose request it is: for its rights, and in its record. */
export function attribute(request: InboundRequest, client: Client | null): void {
  request.client = client;
  request.exchange.client = client?.name ?? null;
}

/**
 * Holds a client to its end and its paths.
 * @param path in normal form
 * @param now milliseconds since 1970
 * @throws SidecarError AUTH_CLIENT_TOKEN or AUTH_ROUTE_DENIED
 */
export function checkRights(client: Client, path: string, now: number): void {
  if (client.expiresAt !== null && client.expiresAt <= now) {
    const since = new Date(client.expiresAt).toISOString();
    throw new SidecarError(
      'AUTH_CLIENT_TOKEN',
      `the client token "${client.name}" expired at ${since}; make a new one`,
    );
  }
  if (!reachesPath(client, path)) {
    throw new SidecarError(
      'AUTH_ROUTE_DENIED',
      `the client token "${client.name}" is not allowed on this path`,
    );
  }
}

/**
 * Whether a request that was let in may go on.
 * @param client as it is known now; null when it is not known any more, or never was
 */
export function isStillAllowed(
  client: Client | null,
  path: string,
  upgrade: boolean,
  { tokens, certificates }: AccessRules,
  now: number,
): boolean {
  if (tokens === null && certificates === null) return true;
  if (!client || (client.expiresAt !== null && client.expiresAt <= now)) return false;
  // A WebSocket cannot be held to models (see `proxy/client-use.ts`).
  return reachesPath(client, path) && !(upgrade && client.limits?.models);
}

function presentedToken(caller: Caller): string | null {
  // An empty one, such as from an unset variable, is none.
  if (caller.sidecarToken) return caller.sidecarToken;
  const match = /^bearer +(\S+)$/i.exec(caller.authorization ?? '');
  return match?.[1] ?? null;
}

/** What nearly every client sends. The checks for any other host take microseconds. */
const USUAL_HOST = /^(?:127\.0\.0\.1|localhost)(?::[1-5]?\d{1,4})?$/;

// DNS rebinding: a page whose name was pointed at 127.0.0.1 still sends its own name as Host.
function isAllowedHost({ host: header, localAddress }: Caller, rules: AccessRules): boolean {
  if (header === undefined) return false;
  if (USUAL_HOST.test(header)) return true;
  const host = isIPv6(header) ? null : parseHost(header);
  if (host === null) return false;
  if (isLoopbackHost(host.name)) return true;
  const own = [rules.listenHost, localAddress?.replace(/^::ffff:/, '')];
  return [...own, ...rules.allowedHosts].some((entry) => {
    const allowed = entry === undefined ? null : parseHost(entry);
    return allowed !== null && isHost(host, allowed);
  });
}

// A browser leaves Origin out of reads of the same origin (Fetch Standard, section 3.2).
function isAllowedOrigin(caller: Caller, fromOwnPage: boolean, rules: AccessRules): boolean {
  const { origin, secFetchSite: site } = caller;
  if (origin !== undefined) return rules.allowedOrigins.includes(origin);
  return site === undefined || site === 'none' || (fromOwnPage && site === 'same-origin');
}
