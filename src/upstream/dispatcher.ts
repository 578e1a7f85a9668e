import type { LookupFunction } from 'node:net';
import { Agent, type Dispatcher } from 'undici';
import { MAX_HEADER_BYTES } from '../base/header-text.ts';
import { type ConnectorOptions, createConnector } from './connector.ts';

export type DispatcherOptions = ConnectorOptions;

interface Patience {
  /** For a connection, its TLS and a tunnel through a proxy each; milliseconds. */
  connectMs: number;
  /** Silence before the headers, and within the body; milliseconds, 0: no limit. */
  silenceMs: number;
}

/** A model may think for many minutes; a client that stops waiting closes its connection. */
export const PATIENCE: Patience = { connectMs: 10_000, silenceMs: 0 };

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
  const connector = createConnector(options, patience, lookup);
  const agent = new Agent({
    connect: connector.connect,
    connections: null,
    pipelining: 1,
    allowH2: false,
    headersTimeout: patience.silenceMs,
    bodyTimeout: patience.silenceMs,
    maxHeaderSize: MAX_HEADER_BYTES,
  });
  const { destroy, close } = agent;
  // Undici calls both again with a callback.
  const andConnector = <End extends (...given: never[]) => unknown>(end: End) =>
    ((...given) => {
      void connector.close();
      return end.apply(agent, given);
    }) as End;
  return Object.assign(agent, { destroy: andConnector(destroy), close: andConnector(close) });
}
