import type { ServerResponse } from 'node:http';
import type { Duplex, Readable } from 'node:stream';
import type { Dispatcher } from 'undici';
import { upstreamError } from './dispatcher.ts';
import { downstreamHeaders } from './headers.ts';

/**
 * The HTTP exchange with the upstream, in place of reply-from, which leaves the upstream running
 * when the client goes away before the headers, retries a GET on 503, and collects headers into an
 * object. Here nothing is buffered, retried or rewritten.
 */
export interface Exchange {
  dispatcher: Dispatcher;
  origin: string;
  /** Path and query. */
  path: string;
  method: string;
  /** Flat list, already scrubbed and with the credential. */
  headers: string[];
  body: Readable | null;
  /** Whether to ask for a WebSocket. */
  upgrade: boolean;
}

/** What the relay tells its caller. */
export interface RelayEvents {
  /** Called before the first byte of the answer goes to the client; from then on it is ours. */
  onStart(status: number, rawHeaders: readonly (Buffer | string)[]): void;
  /** The upstream switched protocols. */
  onUpgrade(rawHeaders: readonly (Buffer | string)[], socket: Duplex): void;
}

/** The client closed its connection; the reason with which the upstream request is aborted. */
export class ClientGoneError extends Error {
  override readonly name = 'ClientGoneError';
}

/**
 * Sends the exchange and streams the answer into `response`.
 * @returns a promise that is fulfilled when the answer has begun (or the client is gone), and
 *   rejected with a SidecarError when there will be none; a failure after that cuts the client off
 */
export function relay(
  exchange: Exchange,
  response: ServerResponse,
  events: RelayEvents,
): Promise<void> {
  // A client that left while its credential was fetched costs no connection.
  if (response.destroyed) return Promise.resolve();
  return new Promise((resolve, reject) => {
    const handler = new RelayHandler(exchange, response, events, resolve, reject);
    const { dispatcher, origin, path, method, headers, body, upgrade } = exchange;
    dispatcher.dispatch(
      {
        origin,
        path,
        method: method as Dispatcher.HttpMethod,
        headers,
        body,
        ...(upgrade ? { upgrade: 'websocket' } : {}),
      },
      handler,
    );
  });
}

class RelayHandler implements Dispatcher.DispatchHandler {
  readonly #exchange: Exchange;
  readonly #response: ServerResponse;
  readonly #events: RelayEvents;
  readonly #resolve: () => void;
  readonly #reject: (error: Error) => void;
  #controller: Dispatcher.DispatchController | null = null;
  #clientGone = false;
  #finished = false;

  constructor(
    exchange: Exchange,
    response: ServerResponse,
    events: RelayEvents,
    resolve: () => void,
    reject: (error: Error) => void,
  ) {
    this.#exchange = exchange;
    this.#response = response;
    this.#events = events;
    this.#resolve = resolve;
    this.#reject = reject;
    response.on('close', this.#onClientClose);
  }

  onRequestStart(controller: Dispatcher.DispatchController): void {
    this.#controller = controller;
    // The client left while the connection was being made: nothing is sent at all.
    if (this.#clientGone) controller.abort(new ClientGoneError());
  }

  onRequestUpgrade(
    controller: Dispatcher.DispatchController,
    _status: number,
    _headers: unknown,
    socket: Duplex,
  ): void {
    this.#finish();
    this.#events.onUpgrade(rawHeaders(controller), socket);
    this.#resolve();
  }

  onResponseStart(
    controller: Dispatcher.DispatchController,
    status: number,
    _headers: unknown,
    statusMessage?: string,
  ): void {
    if (status < 200) return;
    const raw = rawHeaders(controller);
    const response = this.#response;
    response.sendDate = false;
    response.writeHead(status, reasonPhrase(statusMessage), downstreamHeaders(raw, status));
    this.#events.onStart(status, raw);
    response.on('drain', this.#onDrain);
    // Headers ride with the first bytes of the body when both came in one packet; otherwise they
    // must not wait for a first event that may be minutes away.
    process.nextTick(() => {
      if (!this.#finished) response.flushHeaders();
    });
    this.#resolve();
  }

  onResponseData(controller: Dispatcher.DispatchController, chunk: Buffer): void {
    if (!this.#response.write(chunk)) controller.pause();
  }

  onResponseEnd(): void {
    this.#finish();
    this.#response.end();
  }

  onResponseError(_controller: Dispatcher.DispatchController, error: Error): void {
    this.#finish();
    if (this.#clientGone) {
      this.#resolve();
    } else if (this.#response.headersSent) {
      // A cut stream must not look like a finished one.
      this.#response.destroy();
    } else {
      this.#reject(upstreamError(error, this.#exchange.origin));
    }
  }

  readonly #onDrain = (): void => {
    this.#controller?.resume();
  };

  readonly #onClientClose = (): void => {
    if (this.#finished) return;
    this.#clientGone = true;
    this.#controller?.abort(new ClientGoneError());
  };

  #finish(): void {
    this.#finished = true;
    this.#response.off('close', this.#onClientClose);
    this.#response.off('drain', this.#onDrain);
    this.#exchange.body?.destroy();
  }
}

function rawHeaders(controller: Dispatcher.DispatchController): (Buffer | string)[] {
  const raw = controller.rawHeaders;
  return Array.isArray(raw) ? raw : [];
}

// Undici reads it as UTF-8, Node refuses to write what is not latin1; it has no meaning to lose.
function reasonPhrase(text: string | undefined): string {
  return text !== undefined && /^[\t\x20-\x7e]*$/.test(text) ? text : '';
}
