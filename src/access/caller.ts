import { SidecarError } from '../errors.ts';
import { isLoopbackHost } from '../loopback.ts';
import type { ClientTokens } from './client-tokens.ts';

/** What is known of a caller before anything of the request is trusted. */
export interface Caller {
  /** Whether the connection comes from this machine or through the Unix socket. */
  local: boolean;
  host: string | undefined;
  /** Our own address on this connection; it is the listening address behind a wildcard. */
  localAddress: string | undefined;
  origin: string | undefined;
  secFetchSite: string | undefined;
  authorization: string | undefined;
  sidecarToken: string | undefined;
}

export interface AccessRules {
  /** Whether the server listens on a Unix socket, where a host name means nothing. */
  viaSocket: boolean;
  /** Address that the server listens on otherwise. */
  listenHost: string;
  allowedHosts: readonly string[];
  allowedOrigins: readonly string[];
  /** null: no token is asked for. */
  tokens: ClientTokens | null;
}

/**
 * Who needs a client token: `client` always, `local` only from elsewhere, `open` never.
 * Host and origin are checked for all of them.
 */
export type AccessLevel = 'client' | 'local' | 'open';

/**
 * The one gate for HTTP requests and upgrades alike.
 * @throws SidecarError AUTH_HOST_NOT_ALLOWED, AUTH_ORIGIN_NOT_ALLOWED or AUTH_CLIENT_TOKEN
 */
export function checkAccess(caller: Caller, level: AccessLevel, rules: AccessRules): void {
  if (!rules.viaSocket && !isAllowedHost(caller, rules)) {
    throw new SidecarError(
      'AUTH_HOST_NOT_ALLOWED',
      'the Host header names neither loopback nor the listening address; add it to clients.allowedHosts',
    );
  }
  if (!isAllowedOrigin(caller, rules)) {
    throw new SidecarError(
      'AUTH_ORIGIN_NOT_ALLOWED',
      'requests from web pages are refused; add the origin to clients.allowedOrigins',
    );
  }
  if (level === 'open' || (level === 'local' && caller.local) || rules.tokens === null) return;
  if (!rules.tokens.accepts(presentedToken(caller))) {
    throw new SidecarError(
      'AUTH_CLIENT_TOKEN',
      'missing or wrong client token; send it as "Authorization: Bearer" or "x-sidecar-token"',
    );
  }
}

function presentedToken(caller: Caller): string | null {
  if (caller.sidecarToken !== undefined) return caller.sidecarToken;
  const match = /^bearer +(\S+)$/i.exec(caller.authorization ?? '');
  return match?.[1] ?? null;
}

// DNS rebinding: a page whose name was pointed at 127.0.0.1 still sends its own name as Host.
function isAllowedHost({ host: header, localAddress }: Caller, rules: AccessRules): boolean {
  const host = header === undefined ? null : hostName(header);
  if (host === null) return false;
  return (
    isLoopbackHost(host) ||
    host === localAddress?.replace(/^::ffff:/, '') ||
    [rules.listenHost, ...rules.allowedHosts].some((allowed) => bareHost(allowed) === host)
  );
}

function hostName(header: string): string | null {
  const match = /^(\[[0-9a-f:.]+\]|[a-z0-9._-]+)(?::\d{1,5})?$/i.exec(header);
  return match?.[1] ? bareHost(match[1]) : null;
}

/** Lower case; an IPv6 address stands in brackets in a URL and without them in the configuration. */
function bareHost(host: string): string {
  return host.toLowerCase().replace(/^\[(.*)\]$/, '$1');
}

function isAllowedOrigin(caller: Caller, rules: AccessRules): boolean {
  if (caller.origin !== undefined) return rules.allowedOrigins.includes(caller.origin);
  return caller.secFetchSite === undefined || caller.secFetchSite === 'none';
}
