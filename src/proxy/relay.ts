import type { ServerResponse } from 'node:http';
import type { Duplex, Readable } from 'node:stream';
import type { Dispatcher } from 'undici';
import { errnoOf, type SidecarError } from '../base/errors.ts';
import type { OpenExchange } from '../telemetry/exchange-record.ts';
import { unexpectedResponse, upstreamError } from '../upstream/transport-error.ts';
import { downstreamHeaders, type ParsedHeaders, reasonPhrase, requestIdOf } from './headers.ts';
import { HeldResponse } from './held-response.ts';
import { passInterim } from './interim-response.ts';
import type { RelayEvents, RelayOutcome, UpstreamRequest } from './relay-events.ts';
import { type ResponseHead, rawHeaders, responseHead } from './response-head.ts';
import { SentBody } from './sent-body.ts';
import { StreamCut } from './stream-cut.ts';
import type { BodyReader } from './usage/body-reader.ts';
import { type BatchSink, WriteBatch } from './write-batch.ts';

/** The client closed its connection; the reason with which the upstream request is aborted. */
class ClientGoneError extends Error {
  override readonly name = 'ClientGoneError';
}

/**
 * Sends the request and streams the upstream's response into `response`.
 * @param exchange is told what goes to the client
 * @returns a promise that is fulfilled with `answered` when the response has begun (or the client is
 *   gone), with `dropped` when the caller wants the request sent once more, and rejected with a
 *   SidecarError when there will be no response; a failure after that cuts the client off
 */
export function relay(
  request: UpstreamRequest,
  response: ServerResponse,
  exchange: OpenExchange,
  events: RelayEvents,
): Promise<RelayOutcome> {
  // A client that left while its credential was fetched costs no connection.
  if (response.destroyed) return Promise.resolve('answered');
  return new Promise((resolve, reject) => {
    new Relay(request, response, exchange, events, resolve, reject).start();
  });
}

class Relay implements Dispatcher.DispatchHandler, BatchSink {
  readonly #request: UpstreamRequest;
  readonly #response: ServerResponse;
  readonly #exchange: OpenExchange;
  readonly #events: RelayEvents;
  readonly #resolve: (outcome: RelayOutcome) => void;
  readonly #reject: (error: Error) => void;
  #starts = 0;
  #controller: Dispatcher.DispatchController | null = null;
  #clientGone = false;
  #finished = false;
  #held: HeldResponse | null = null;
  #reader: BodyReader | null = null;
  readonly #streamCut = new StreamCut(() => this.#cutNow());
  readonly #batch = new WriteBatch(this);

  constructor(
    request: UpstreamRequest,
    response: ServerResponse,
    exchange: OpenExchange,
    events: RelayEvents,
    resolve: (outcome: RelayOutcome) => void,
    reject: (error: Error) => void,
  ) {
    this.#request = request;
    this.#response = response;
    this.#exchange = exchange;
    this.#events = events;
    this.#resolve = resolve;
    this.#reject = reject;
    exchange.whenFinished(this.#onClientClose);
    exchange.cut = this.#cut;
  }

  start(): void {
    this.#starts++;
    const { dispatcher, origin, path, method, headers, body, upgrade } = this.#request;
    dispatcher.dispatch(
      {
        origin,
        path,
        method: method as Dispatcher.HttpMethod,
        headers,
        // Undici uses no more of a stream than this has.
        body: body as Buffer | Readable | null,
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
    status: number,
    parsed: ParsedHeaders,
    socket: Duplex,
  ): void {
    const head = responseHead(controller, status, undefined, parsed);
    if (head.header('upgrade')?.toLowerCase() !== 'websocket') {
      socket.destroy();
      this.#finish();
      this.#reject(unexpectedResponse(this.#request.origin, '101 for another protocol'));
      return;
    }
    this.#finish();
    this.#recordBegin(head);
    this.#events.onUpgrade(head, socket);
    this.#resolve('answered');
  }

  onResponseStart(
    controller: Dispatcher.DispatchController,
    status: number,
    parsed: ParsedHeaders,
    statusMessage?: string,
  ): void {
    if (status < 100 || status === 101) {
      // Undici takes both for interim responses. Node would refuse to write the first, and nobody
      // asked for the protocol of the second.
      controller.abort(unexpectedResponse(this.#request.origin, `${status}`));
      return;
    }
    if (status < 200) {
      passInterim(this.#response, status, statusMessage, rawHeaders(controller));
      return;
    }
    const head = responseHead(controller, status, statusMessage, parsed);
    if (this.#events.onHead(head) === 'pass') this.#begin(head);
    else this.#held = new HeldResponse(head, this.#passHeld);
  }

  #begin(head: ResponseHead): void {
    const { status, statusMessage, raw } = head;
    const response = this.#response;
    response.sendDate = false;
    response.writeHead(status, reasonPhrase(statusMessage), downstreamHeaders(raw, status));
    this.#recordBegin(head);
    this.#reader = this.#events.onPass(head);
    this.#streamCut.begin(head);
    this.#batch.open();
    this.#resolve('answered');
  }

  #recordBegin({ header }: ResponseHead): void {
    const exchange = this.#exchange;
    exchange.begun();
    exchange.upstreamRequestId = requestIdOf(header);
    exchange.challenged = header('cf-mitigated') === 'challenge';
  }

  onResponseData(_controller: Dispatcher.DispatchController, chunk: Buffer): void {
    const held = this.#held;
    if (!held) {
      const passed = this.#streamCut.pass(chunk);
      this.#exchange.bytesDown += passed.length;
      this.#batch.push(passed, this.#response.socket);
      if (this.#streamCut.isReached) this.#cutNow();
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
    const last = this.#batch.take();
    if (last !== null) this.#reader?.push(last);
    this.#response.end(last);
  }

  write(bytes: Buffer): void {
    const response = this.#response;
    // The client may have left since.
    if (response.destroyed) return;
    if (!response.write(bytes)) this.#waitForDrain();
    this.#reader?.push(bytes);
  }

  /**
   * When headers and body come in one turn of the event loop, they are written together. When no body
   * came with them, headers must not wait for a first event that may be minutes away.
   */
  nothingCame(): void {
    if (!this.#finished && !this.#response.destroyed) this.#response.flushHeaders();
  }

  #waitForDrain(): void {
    this.#controller?.pause();
    this.#response.once('drain', this.#onDrain);
  }

  /** The whole response is here: it is dropped for another try, or goes to the client as it came. */
  async #decide(held: HeldResponse): Promise<void> {
    held.settle();
    try {
      const verdict = await this.#events.onHeld(await held.read());
      const gone = this.#clientGone;
      if (verdict === 'pass' && !gone) this.#passHeld(held);
      this.#finish();
      if (gone) this.#resolve('answered');
      else if (verdict === 'drop') this.#resolve('dropped');
      else this.#response.end();
    } catch (error) {
      // Nobody else listens to this promise.
      this.#finish();
      this.#reject(error instanceof Error ? error : new Error(String(error)));
    }
  }

  readonly #passHeld = (held: HeldResponse): void => {
    held.settle();
    this.#held = null;
    this.#begin(held.head);
    this.#exchange.bytesDown += held.size;
    let flowing = true;
    for (const chunk of held.chunks) {
      flowing = this.#response.write(chunk);
      this.#reader?.push(chunk);
    }
    if (!flowing) this.#waitForDrain();
  };

  onResponseError(_controller: Dispatcher.DispatchController, error: Error): void {
    if (this.#starts === 1 && this.#foundReset(error)) {
      this.start();
      return;
    }
    // The part of a broken response that came goes to the client, which sees it break off as well.
    if (this.#held && !this.#clientGone) this.#passHeld(this.#held);
    this.#finish();
    if (this.#clientGone) {
      this.#resolve('answered');
    } else if (this.#response.headersSent) {
      this.#exchange.ending = 'upstreamCut';
      // A cut stream must not look like a finished one. Not in this turn: what was written in it is
      // sent at its end.
      process.nextTick(() => this.#response.destroy());
    } else {
      this.#reject(upstreamError(error, this.#request.origin));
    }
  }

  /**
   * Whether a kept connection was found to be reset before a byte of this request was written to it.
   * Undici checks before it writes; it dials anew for a connection that was closed, but fails the
   * request for one that was reset. Once anything was written, nobody knows whether the request was
   * carried out, so any later failure is left to the client.
   */
  #foundReset(error: Error): boolean {
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

  readonly #cut = (reason: SidecarError): void => {
    if (this.#finished) return;
    // A client that has seen nothing yet is told why.
    if (!this.#response.headersSent) this.#reject(reason);
    this.#streamCut.request();
  };

  readonly #cutNow = (): void => {
    const response = this.#response;
    this.#exchange.ending = 'revoked';
    this.#finish();
    if (response.headersSent) {
      const last = this.#batch.take();
      if (last !== null) this.write(last);
      // Not in this turn: what was written in it is sent at its end.
      setImmediate(() => response.destroy());
    }
    this.#clientGone = true;
    this.#controller?.abort(new ClientGoneError());
  };

  #finish(): void {
    this.#finished = true;
    this.#streamCut.settle();
    this.#held?.settle();
    const { body } = this.#request;
    if (body instanceof SentBody) body.destroy();
  }
}
