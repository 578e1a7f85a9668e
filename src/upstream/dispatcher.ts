import type { LookupFunction } from 'node:net';
import { rootCertificates } from 'node:tls';
import { Agent, type Dispatcher } from 'undici';
import { MAX_HEADER_BYTES } from '../base/header-text.ts';
import { type ProxyEnvironment, throughEnvironment, throughProxy } from './egress-proxy.ts';

export interface DispatcherOptions {
  /** PEM text of certificate authorities in addition to the built-in ones. */
  ca: string | null;
  /** "env", null, or the URL of a proxy; only https upstreams use it. */
  proxy: string | null;
  proxyEnvironment: ProxyEnvironment;
}

interface Patience {
  /** For a connection, its TLS and a tunnel through a proxy each; milliseconds. */
  connectMs: number;
  /** Silence before the headers, and within the body; milliseconds, 0: no limit. */
  silenceMs: number;
}

/** A model may think for many minutes; a client that stops waiting closes its connection. */
export const PATIENCE: Patience = { connectMs: 10_000, silenceMs: 0 };

/**
 * How long one address is tried before the next. Unlike RFC 8305, Node then gives the earlier one up,
 * so with its default of 250 ms a server that is further away could not be reached.
 */
const ADDRESS_MS = 1_000;

/**
 * The one way out, for HTTP and upgrades, with every default that a proxy needs set differently:
 * certificates are verified; no limit of connections per origin, so that nothing queues unseen; no
 * time limit on headers or body; no pipelining; HTTP/1 only. It neither retries nor follows a
 * redirect.
 * @param patience other than {@link PATIENCE} only in tests; so is `lookup`
 * @throws ConfigError when a proxy's address cannot be used
 */
export function createDispatcher(
  options: DispatcherOptions,
  patience = PATIENCE,
  lookup?: LookupFunction,
): Dispatcher {
  const { ca, proxy, proxyEnvironment } = options;
  const settings = {
    connections: null,
    pipelining: 1,
    allowH2: false,
    headersTimeout: patience.silenceMs,
    bodyTimeout: patience.silenceMs,
    maxHeaderSize: MAX_HEADER_BYTES,
    connect: {
      rejectUnauthorized: true,
      ...(ca === null ? {} : { ca: [...rootCertificates, ca] }),
      timeout: patience.connectMs,
      autoSelectFamily: true,
      autoSelectFamilyAttemptTimeout: ADDRESS_MS,
      ...(lookup ? { lookup } : {}),
    },
  } satisfies Agent.Options;
  if (proxy === 'env') return throughEnvironment(settings, proxyEnvironment);
  if (proxy === null) return new Agent(settings);
  return throughProxy(settings, 'upstream.proxy', proxy, '');
}
