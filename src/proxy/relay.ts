import type { ServerResponse } from 'node:http';
import { type Duplex, Readable } from 'node:stream';
import type { Dispatcher } from 'undici';
import type { UpstreamAnswer } from '../credentials/rejection.ts';
import { SidecarError } from '../errors.ts';
import type { Observation } from '../observation.ts';
import { upstreamError } from './dispatcher.ts';
import {
  downstreamHeaders,
  type HeaderLookup,
  headerLookup,
  rawHeaders,
  reasonPhrase,
} from './headers.ts';
import { passInterim } from './interim.ts';
import { Packet } from './packet.ts';

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
  body: Readable | Iterable<Buffer> | Buffer | null;
  /** Whether to ask for a WebSocket. */
  upgrade: boolean;
  /** null: every answer is passed on as it comes. */
  judge: AnswerJudge | null;
  /** Counts what goes to the client. */
  observation: Observation;
}

/** Looks at answers that may reject the credential, before any of it goes to the client. */
export interface AnswerJudge {
  /** Whether the body has to be seen as well; the answer is held back meanwhile. */
  wantsBody(head: Pick<UpstreamAnswer, 'status' | 'header'>): boolean;
  /** True drops the answer: the exchange will be sent once more. */
  drops(answer: UpstreamAnswer): Promise<boolean>;
}

/** What the relay tells its caller. */
export interface RelayEvents {
  /** Headers of whatever the upstream answered, also of an answer that the client will not see. */
  onAnswer(rawHeaders: readonly string[]): void;
  /** Called before the first byte of the answer goes to the client; from then on it is ours. */
  onStart(status: number, header: HeaderLookup): void;
  /** The upstream switched protocols. */
  onUpgrade(rawHeaders: readonly string[], header: HeaderLookup, socket: Duplex): void;
}

/** The client closed its connection; the reason with which the upstream request is aborted. */
export class ClientGoneError extends Error {
  override readonly name = 'ClientGoneError';
}

/**
 * Sends the exchange and streams the answer into `response`.
 * @returns a promise that is fulfilled with `answered` when the answer has begun (or the client is
 *   gone), with `dropped` when the judge wants the exchange sent once more, and
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
    const { dispatcher, origin, path, method, headers, body, upgrade } = exchange;
    const dispatch = () =>
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
        handler,
      );
    const handler = new RelayHandler(exchange, response, events, dispatch, resolve, reject);
    dispatch();
  });
}

export type RelayOutcome = 'answered' | 'dropped';

/** More than this of an answer is not held back. */
const HELD_BYTES = 64 * 1024;

interface AnswerHead {
  status: number;
  statusMessage: string | undefined;
  raw: readonly string[];
  header: HeaderLookup;
}

interface HeldAnswer extends AnswerHead {
  chunks: Buffer[];
  size: number;
}

class RelayHandler implements Dispatcher.DispatchHandler {
  readonly #exchange: Exchange;
  readonly #response: ServerResponse;
  readonly #events: RelayEvents;
  /** Null once it has been used. */
  #dispatchAgain: (() => void) | null;
  readonly #resolve: (outcome: RelayOutcome) => void;
  readonly #reject: (error: Error) => void;
  #controller: Dispatcher.DispatchController | null = null;
  #clientGone = false;
  #finished = false;
  #held: HeldAnswer | null = null;
  /** What came with one packet, to be written at once. */
  readonly #packet = new Packet((bytes) => this.#writeBytes(bytes));

  constructor(
    exchange: Exchange,
    response: ServerResponse,
    events: RelayEvents,
    dispatchAgain: () => void,
    resolve: (outcome: RelayOutcome) => void,
    reject: (error: Error) => void,
  ) {
    this.#exchange = exchange;
    this.#response = response;
    this.#events = events;
    this.#dispatchAgain = dispatchAgain;
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
    headers: unknown,
    socket: Duplex,
  ): void {
    this.#finish();
    const raw = rawHeaders(controller.rawHeaders);
    this.#events.onAnswer(raw);
    this.#events.onUpgrade(raw, headerLookup(headers), socket);
    this.#resolve('answered');
  }

  onResponseStart(
    controller: Dispatcher.DispatchController,
    status: number,
    headers: unknown,
    statusMessage?: string,
  ): void {
    const raw = rawHeaders(controller.rawHeaders);
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
    this.#events.onAnswer(raw);
    const header = headerLookup(headers);
    const head = { status, statusMessage, raw, header };
    if (this.#exchange.judge?.wantsBody(head)) this.#held = { ...head, chunks: [], size: 0 };
    else this.#begin(head);
  }

  #begin({ status, statusMessage, raw, header }: AnswerHead): void {
    const response = this.#response;
    response.sendDate = false;
    response.writeHead(status, reasonPhrase(statusMessage), downstreamHeaders(raw, status));
    this.#events.onStart(status, header);
    // Headers ride with the first bytes of the body when both came in one packet; otherwise they
    // must not wait for a first event that may be minutes away.
    process.nextTick(() => {
      if (!this.#finished && this.#packet.isEmpty) response.flushHeaders();
    });
    this.#resolve('answered');
  }

  onResponseData(_controller: Dispatcher.DispatchController, chunk: Buffer): void {
    const held = this.#held;
    if (!held) {
      this.#exchange.observation.bytesDown += chunk.length;
      this.#packet.push(chunk);
      return;
    }
    held.chunks.push(chunk);
    held.size += chunk.length;
    if (held.size > HELD_BYTES) this.#passHeld(held);
  }

  onResponseEnd(): void {
    if (this.#held) {
      void this.#decide(this.#held);
      return;
    }
    this.#finish();
    this.#response.end(this.#packet.take());
  }

  #writeBytes(bytes: Buffer): void {
    // The client may have left since.
    if (this.#response.destroyed) return;
    if (!this.#response.write(bytes)) this.#waitForDrain();
  }

  #waitForDrain(): void {
    this.#controller?.pause();
    this.#response.once('drain', this.#onDrain);
  }

  /** The whole answer is here: it is dropped for another try, or goes to the client as it came. */
  async #decide(held: HeldAnswer): Promise<void> {
    try {
      const again = await this.#exchange.judge?.drops({
        status: held.status,
        header: held.header,
        body: Buffer.concat(held.chunks).toString('utf8'),
      });
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

  #passHeld(held: HeldAnswer): void {
    this.#held = null;
    this.#begin(held);
    this.#exchange.observation.bytesDown += held.size;
    let flowing = true;
    for (const chunk of held.chunks) flowing = this.#response.write(chunk);
    if (!flowing) this.#waitForDrain();
  }

  onResponseError(_controller: Dispatcher.DispatchController, error: Error): void {
    if (this.#neverSent(error) && this.#dispatchAgain) {
      const dispatch = this.#dispatchAgain;
      this.#dispatchAgain = null;
      dispatch();
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
    const { code } = error as NodeJS.ErrnoException;
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
