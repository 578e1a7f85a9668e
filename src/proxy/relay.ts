import type { ServerResponse } from 'node:http';
import { type Duplex, Readable } from 'node:stream';
import type { Dispatcher } from 'undici';
import { errnoOf, SidecarError } from '../base/errors.ts';
import type { UpstreamResponse } from '../credentials/rejection.ts';
import type { OpenExchange } from '../telemetry/exchange-record.ts';
import { upstreamError } from '../upstream/transport-error.ts';
import {
  downstreamHeaders,
  type HeaderLookup,
  headerLookup,
  type ParsedHeaders,
  type RawHeaders,
  reasonPhrase,
} from './headers.ts';
import { HeldResponse, type ResponseHead } from './held-response.ts';
import { passInterim } from './interim-response.ts';
import { WriteBatch } from './write-batch.ts';

/**
 * The HTTP exchange with the upstream, in place of reply-from, which leaves the upstream running
 * when the client goes away before the headers, retries a GET on 503, and collects headers into an
 * object. Here nothing is rewritten, and nothing is held back but an answer that may reject the
 * credential.
 */
export interface Exchange {
  dispatcher: Dispatcher;
  origin: string;
  /** Path and query. */
  path: string;
  method: string;
  /** Flat list, already scrubbed and with the credential. */
  headers: string[];
  body: Readable | AsyncIterable<Buffer> | Buffer | null;
  /** Whether to ask for a WebSocket. */
  upgrade: boolean;
  /** Counts what goes to the client. */
  observation: OpenExchange;
}

/** What the relay asks and tells its caller. */
export interface RelayEvents {
  /** Headers of whatever the upstream answered, also of an answer that the client will not see. */
  onResponse(headers: ParsedHeaders): void;
  /**
   * Whether an answer may reject the credential, so that its body has to be seen as well before any
   * of it goes to the client.
   */
  wantsBody(head: Pick<UpstreamResponse, 'status' | 'header'>): boolean;
  /** True drops the answer: the exchange will be sent once more. */
  drops(answer: UpstreamResponse): Promise<boolean>;
  /** Called before the first byte of the answer goes to the client; from then on it is ours. */
  onStart(status: number, header: HeaderLookup): void;
  /** The upstream switched protocols. */
  onUpgrade(raw: RawHeaders, header: HeaderLookup, socket: Duplex): void;
}

/** The client closed its connection; the reason with which the upstream request is aborted. */
export class ClientGoneError extends Error {
  override readonly name = 'ClientGoneError';
}

/**
 * Sends the exchange and streams the answer into `response`.
 * @returns a promise that is fulfilled with `answered` when the answer has begun (or the client is
 *   gone), with `dropped` when the caller wants the exchange sent once more, and
 *   rejected with a SidecarError when there will be none; a failure after that cuts the client off
 */
export function relay(
  exchange: Exchange,
  response: ServerResponse,
  events: RelayEvents,
): Promise<RelayOutcome> {
  // A client that left while its credential was fetched costs no connection.
  if (response.destroyed) return Promise.resolve('answered');
  return new Promise((resolve, reject) => {
    new RelayHandler(exchange, response, events, resolve, reject).dispatch();
  });
}

export type RelayOutcome = 'answered' | 'dropped';

class RelayHandler implements Dispatcher.DispatchHandler {
  readonly #exchange: Exchange;
  readonly #response: ServerResponse;
  readonly #events: RelayEvents;
  readonly #resolve: (outcome: RelayOutcome) => void;
  readonly #reject: (error: Error) => void;
  #dispatches = 0;
  #controller: Dispatcher.DispatchController | null = null;
  #clientGone = false;
  #finished = false;
  #held: HeldResponse | null = null;
  readonly #packet = new WriteBatch((bytes) => this.#endTurn(bytes));

  constructor(
    exchange: Exchange,
    response: ServerResponse,
    events: RelayEvents,
    resolve: (outcome: RelayOutcome) => void,
    reject: (error: Error) => void,
  ) {
    this.#exchange = exchange;
    this.#response = response;
    this.#events = events;
    this.#resolve = resolve;
    this.#reject = reject;
    response.on('close', this.#onClientClose);
  }

  dispatch(): void {
    this.#dispatches++;
    const { dispatcher, origin, path, method, headers, body, upgrade } = this.#exchange;
    dispatcher.dispatch(
      {
        origin,
        path,
        method: method as Dispatcher.HttpMethod,
        headers,
        // An iterable is taken too; the types do not know of it.
        body: body as Readable | null,
        ...(upgrade ? { upgrade: 'websocket' } : {}),
      },
      this,
    );
  }

  onRequestStart(controller: Dispatcher.DispatchController): void {
    this.#controller = controller;
    // The client left while the connection was being made: nothing is sent at all.
    if (this.#clientGone) controller.abort(new ClientGoneError());
  }

  onRequestUpgrade(
    controller: Dispatcher.DispatchController,
    _status: number,
    headers: ParsedHeaders,
    socket: Duplex,
  ): void {
    this.#finish();
    this.#events.onResponse(headers);
    this.#events.onUpgrade(rawHeaders(controller), headerLookup(headers), socket);
    this.#resolve('answered');
  }

  onResponseStart(
    controller: Dispatcher.DispatchController,
    status: number,
    headers: ParsedHeaders,
    statusMessage?: string,
  ): void {
    const raw = rawHeaders(controller);
    if (status < 100) {
      // Undici takes it for an interim one, Node would refuse to write it.
      const { origin } = this.#exchange;
      controller.abort(new SidecarError('UPSTREAM_UNREACHABLE', `${origin} answered ${status}`));
      return;
    }
    if (status < 200) {
      passInterim(this.#response, status, statusMessage, raw);
      return;
    }
    this.#events.onResponse(headers);
    const head = { status, statusMessage, raw, header: headerLookup(headers) };
    if (this.#events.wantsBody(head)) this.#held = new HeldResponse(head);
    else this.#begin(head);
  }

  #begin({ status, statusMessage, raw, header }: ResponseHead): void {
    const response = this.#response;
    response.sendDate = false;
    response.writeHead(status, reasonPhrase(statusMessage), downstreamHeaders(raw, status));
    this.#events.onStart(status, header);
    this.#packet.open();
    this.#resolve('answered');
  }

  onResponseData(_controller: Dispatcher.DispatchController, chunk: Buffer): void {
    const held = this.#held;
    if (!held) {
      this.#exchange.observation.bytesDown += chunk.length;
      this.#packet.push(chunk);
      return;
    }
    if (!held.push(chunk)) this.#passHeld(held);
  }

  onResponseEnd(): void {
    if (this.#held) {
      void this.#decide(this.#held);
      return;
    }
    this.#finish();
    this.#response.end(this.#packet.take());
  }

  #endTurn(bytes: Buffer | null): void {
    const response = this.#response;
    // The client may have left since.
    if (response.destroyed) return;
    if (bytes !== null) {
      if (!response.write(bytes)) this.#waitForDrain();
    } else if (!this.#finished) {
      // Headers ride with the first bytes of the body when both came in one turn; otherwise they
      // must not wait for a first event that may be minutes away.
      response.flushHeaders();
    }
  }

  #waitForDrain(): void {
    this.#controller?.pause();
    this.#response.once('drain', this.#onDrain);
  }

  /** The whole answer is here: it is dropped for another try, or goes to the client as it came. */
  async #decide(held: HeldResponse): Promise<void> {
    try {
      const again = await this.#events.drops(held.answer);
      const gone = this.#clientGone;
      if (!again && !gone) this.#passHeld(held);
      this.#finish();
      if (again || gone) this.#resolve(gone ? 'answered' : 'dropped');
      else this.#response.end();
    } catch (error) {
      // Nobody else listens to this promise.
      this.#finish();
      this.#reject(error instanceof Error ? error : new Error(String(error)));
    }
  }

  #passHeld(held: HeldResponse): void {
    this.#held = null;
    this.#begin(held.head);
    this.#exchange.observation.bytesDown += held.size;
    let flowing = true;
    for (const chunk of held.chunks) flowing = this.#response.write(chunk);
    if (!flowing) this.#waitForDrain();
  }

  onResponseError(_controller: Dispatcher.DispatchController, error: Error): void {
    if (this.#dispatches === 1 && this.#neverSent(error)) {
      this.dispatch();
      return;
    }
    // What came of a broken answer goes to the client, which sees it break off as well.
    if (this.#held && !this.#clientGone) this.#passHeld(this.#held);
    this.#finish();
    if (this.#clientGone) {
      this.#resolve('answered');
    } else if (this.#response.headersSent) {
      this.#exchange.observation.ending = 'upstreamCut';
      // A cut stream must not look like a finished one. Not in this turn: what was written in it is
      // sent at its end.
      process.nextTick(() => this.#response.destroy());
    } else {
      this.#reject(upstreamError(error, this.#exchange.origin));
    }
  }

  /**
   * Whether a connection was reset before a byte of this exchange was on it, as happens to a kept
   * one. Undici looks for such a thing before it writes, and takes a new connection for one that was
   * closed, but fails the exchange for one that was reset. Once anything was written, nobody knows
   * what came of it, so whatever fails then is left to the client.
   */
  #neverSent(error: Error): boolean {
    const code = errnoOf(error);
    return !this.#controller && !this.#clientGone && (code === 'ECONNRESET' || code === 'EPIPE');
  }

  readonly #onDrain = (): void => {
    if (!this.#finished) this.#controller?.resume();
  };

  readonly #onClientClose = (): void => {
    if (this.#finished) return;
    this.#clientGone = true;
    this.#controller?.abort(new ClientGoneError());
  };

  #finish(): void {
    this.#finished = true;
    const { body } = this.#exchange;
    if (body instanceof Readable) body.destroy();
  }
}

/** Over HTTP/1 it is a list, which the types leave open. */
function rawHeaders({ rawHeaders: raw }: Dispatcher.DispatchController): RawHeaders {
  return Array.isArray(raw) ? raw : [];
}
