import type { LookupFunction } from 'node:net';
import { Agent, type Dispatcher } from 'undici';
import { monotonicClock } from '../base/clock.ts';
import { MAX_HEADER_BYTES } from '../base/header-text.ts';
import { timerSchedule } from '../base/schedule.ts';
import { type ConnectorOptions, createConnector } from './connector.ts';
import { ReadyConnections, type ReadyOptions } from './ready-connections.ts';

export interface DispatcherOptions extends ConnectorOptions {
  /** Absent: a connection is dialled when it is needed. */
  ready?: ReadyOptions;
  /** How long a connection without a request is kept where the upstream gives no hint; milliseconds. */
  idleMs?: number;
}

interface Patience {
  /** For a connection, its TLS and a tunnel through a proxy each; milliseconds. */
  connectMs: number;
  /** Silence before the headers, and within the body; milliseconds, 0: no limit. */
  silenceMs: number;
}

/** A model may think for many minutes; a client that stops waiting closes its connection. */
export const PATIENCE: Patience = { connectMs: 10_000, silenceMs: 0 };

/** As the HTTP library of Codex does it. */
const IDLE_MS = 90_000;
const NONE_READY: ReadyOptions = { origins: [], count: 0, forMs: 0 };

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
  const ready = new ReadyConnections(
    connector.connect,
    options.ready ?? NONE_READY,
    monotonicClock,
    timerSchedule,
  );
  const agent = new Agent({
    connect: ready.connect,
    keepAliveTimeout: options.idleMs ?? IDLE_MS,
    connections: null,
    pipelining: 1,
    allowH2: false,
    headersTimeout: patience.silenceMs,
    bodyTimeout: patience.silenceMs,
    maxHeaderSize: MAX_HEADER_BYTES,
  });
  const { destroy, close, dispatch } = agent;
  // Undici calls both again with a callback.
  const andConnector = <End extends (...given: never[]) => unknown>(end: End) =>
    ((...given) => {
      ready.close();
      void connector.close();
      return end.apply(agent, given);
    }) as End;
  return Object.assign(agent, {
    destroy: andConnector(destroy),
    close: andConnector(close),
    dispatch: ((request, handler) => {
      ready.used(String(request.origin));
      return dispatch.call(agent, request, handler);
    }) as Dispatcher['dispatch'],
  });
}
