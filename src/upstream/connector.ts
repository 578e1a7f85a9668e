import type { LookupFunction } from 'node:net';
import { createSecureContext, type SecureContext } from 'node:tls';
import { buildConnector } from 'undici';
import { dropContinues } from './continue-filter.ts';
import { type EgressProxy, egressProxy, type ProxySettings } from './egress-proxy.ts';
import { readFirst } from './read-first.ts';
import { Tunnels } from './tunnel.ts';

export type Connect = buildConnector.connector;

export interface ConnectorOptions extends ProxySettings {
  /** Certificate authorities in addition to those of Node.js, each in PEM form. */
  authorities: readonly string[];
}

/** Bounds of getting a connection. */
interface DialLimits {
  /** For a connection, its TLS and a tunnel through a proxy each; milliseconds. */
  connectMs: number;
}

/**
 * How long one address is tried before the next. Unlike RFC 8305, Node then gives the earlier one up,
 * so with its default of 250 ms a server that is further away could not be reached.
 */
const ADDRESS_MS = 1_000;

/** Dials upstreams, each directly or through the proxy that is set for it. */
interface Connector {
  connect: Connect;
  /** Ends what is being dialled, and what stands ready. */
  close(): Promise<void>;
}

/**
 * @param lookup other than DNS only in tests
 * @throws ConfigError when a proxy's address cannot be used
 */
export function createConnector(
  options: ConnectorOptions,
  { connectMs }: DialLimits,
  lookup?: LookupFunction,
): Connector {
  const proxy = egressProxy(options);
  const dial = directDial(options.authorities, connectMs, lookup);
  if (!proxy) return { connect: filtered(dial), close: async () => undefined };
  const tunnels = new Tunnels(proxy, dial, connectMs);
  const connect: Connect = (target, done) => {
    if (isDirect(proxy, target)) dial(target, done);
    else tunnels.connect(target, done);
  };
  return { connect: filtered(connect), close: () => tunnels.close() };
}

function filtered(connect: Connect): Connect {
  return (target, done) =>
    connect(target, (...[error, socket]) => {
      if (socket) done(null, dropContinues(socket));
      else done(error, null);
    });
}

function isDirect(proxy: EgressProxy, { protocol, host, hostname }: buildConnector.Options) {
  return !proxy.serves(new URL(`${protocol}//${host ?? hostname}`));
}

/**
 * Dials without a proxy. The secure context is made with the first TLS connection, because reading
 * the authorities takes longer than a start may, and kept for all others, because reading them for
 * each would hold up every open stream.
 */
function directDial(
  authorities: readonly string[],
  timeout: number,
  lookup: LookupFunction | undefined,
): Connect {
  const settings = {
    rejectUnauthorized: true,
    timeout,
    autoSelectFamily: true,
    autoSelectFamilyAttemptTimeout: ADDRESS_MS,
    ...(lookup ? { lookup } : {}),
  };
  const plain = buildConnector(settings);
  let secure: Connect | null = null;
  return (target, done) => {
    if (target.protocol !== 'https:') {
      plain(target, readingFirst(done));
      return;
    }
    secure ??= buildConnector({ ...settings, secureContext: trusting(authorities) });
    secure(target, readingFirst(done));
  };
}

/** Hands out connections of {@link readFirst}. */
function readingFirst(done: buildConnector.Callback): buildConnector.Callback {
  return (...result) => {
    if (result[1]) readFirst(result[1]);
    done(...result);
  };
}

/**
 * A secure context that trusts whatever Node.js trusts by itself, with `--use-openssl-ca` too, and
 * `authorities`. The option `ca` would take the place of Node's own, which Node 20 cannot list.
 */
export function trusting(authorities: readonly string[]): SecureContext {
  const secureContext = createSecureContext();
  // Untyped; tests show that it is there.
  const native: { addCACert(pem: string): void } = secureContext.context;
  for (const authority of authorities) native.addCACert(authority);
  return secureContext;
}
