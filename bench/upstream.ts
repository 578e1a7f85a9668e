import { type AddressInfo, createServer, type Socket } from 'node:net';
import { createServer as createTlsServer } from 'node:tls';
import { tuneHeap } from '../src/commands/process.ts';
import { selfSigned } from '../test/helpers/certificates.ts';
import { acceptKey, deflatedTurn, eventFrame } from './frames.ts';
import {
  MESSAGE_BYTES,
  nowMicros,
  type ResponseKind,
  TURN_EVENTS,
  type UpstreamCounts,
} from './protocol.ts';
import { delta, endOfTurn } from './stream-events.ts';

/**
 * The upstream of every peer, in a process of its own: raw sockets and prepared bytes, so that what
 * is measured is what lies in front of it. Says `{port, tlsPort, cert}` to its parent, and
 * `UpstreamCounts` whenever it is sent anything.
 */

// It rests while others are measured, and must not be slower for that.
tuneHeap();
const END_OF_HEAD = Buffer.from('\r\n\r\n');
const LAST_CHUNK = '0\r\n\r\n';
const MASKED_HEAD_BYTES = 8;

const counts: UpstreamCounts = { streams: 0, events: 0 };

class Connection {
  readonly #socket: Socket;
  #partialHead: Buffer | null = null;
  #head = '';
  /** Bytes of the body that are still to come; -1 while a head is read, -2 in a chunked body. */
  #missing = -1;
  #webSocket = false;
  #turn: readonly Buffer[] = TURN;
  #pauseMs = 0;

  constructor(socket: Socket) {
    this.#socket = socket;
    socket.setNoDelay(true);
    socket.on('data', this.#onData);
    socket.on('error', () => socket.destroy());
  }

  readonly #onData = (chunk: Buffer): void => {
    if (this.#webSocket) {
      this.#onMessageBytes(chunk.length);
    } else if (this.#missing === -1) {
      this.#onHead(this.#partialHead ? Buffer.concat([this.#partialHead, chunk]) : chunk);
    } else if (this.#missing === -2) {
      if (chunk.subarray(-5).toString('latin1') === LAST_CHUNK) this.#respond();
    } else {
      this.#missing -= chunk.length;
      if (this.#missing === 0) this.#respond();
    }
  };

  #onHead(bytes: Buffer): void {
    const end = bytes.indexOf(END_OF_HEAD);
    this.#partialHead = end === -1 ? bytes : null;
    if (end === -1) return;
    this.#head = bytes.toString('latin1', 0, end + 2);
    if (/\r\nupgrade: *websocket\r\n/i.test(this.#head)) {
      this.#switch();
      return;
    }
    const body = bytes.length - end - END_OF_HEAD.length;
    if (/\r\ntransfer-encoding: *chunked\r\n/i.test(this.#head)) {
      this.#missing = -2;
      if (bytes.subarray(-5).toString('latin1') === LAST_CHUNK) this.#respond();
      return;
    }
    this.#missing = Number(/\r\ncontent-length: *(\d+)\r\n/i.exec(this.#head)?.[1] ?? 0) - body;
    if (this.#missing === 0) this.#respond();
  }

  #respond(): void {
    this.#missing = -1;
    const response = (/\r\nx-bench-response: *([^\r]+)\r\n/i.exec(this.#head)?.[1] ??
      'json') as ResponseKind;
    const [kind, count, pauseMs] = response.split(' ');
    if (kind === 'json') this.#socket.write(jsonAnswer());
    else if (kind === 'burst') this.#socket.write(burst(Number(count)));
    else if (kind === 'burst-turn') this.#socket.write(burst(Number(count), END_OF_TURN));
    else if (kind === 'paced') this.#pace(Number(count), Number(pauseMs));
    else if (kind === 'paced-turn') this.#pace(Number(count), Number(pauseMs), END_OF_TURN);
    else this.#socket.write(withLength(JSON.stringify({ head: this.#head })));
  }

  #pace(count: number, pauseMs: number, end = ''): void {
    const socket = this.#socket;
    socket.write(streamHead() + eventChunk());
    let sent = 1;
    counts.streams++;
    const stop = () => {
      counts.streams--;
      clearInterval(timer);
    };
    const timer = setInterval(() => {
      counts.events++;
      if (++sent < count) {
        socket.write(eventChunk());
      } else {
        stop();
        socket.off('close', stop);
        socket.write(eventChunk() + end + LAST_CHUNK);
      }
    }, pauseMs);
    socket.once('close', stop);
  }

  #switch(): void {
    const key = /\r\nsec-websocket-key: *([^\r]+)\r\n/i.exec(this.#head)?.[1] ?? '';
    this.#webSocket = true;
    this.#missing = MESSAGE_BYTES + MASKED_HEAD_BYTES;
    const deflates = /\r\nsec-websocket-extensions: *permessage-deflate\r\n/i.test(this.#head);
    if (deflates) this.#turn = DEFLATED_TURN;
    this.#pauseMs = Number(/\r\nx-bench-pause: *(\d+)\r\n/i.exec(this.#head)?.[1] ?? 0);
    const extensions = deflates ? 'sec-websocket-extensions: permessage-deflate\r\n' : '';
    this.#socket.write(
      `HTTP/1.1 101 Switching Protocols\r\nconnection: Upgrade\r\nupgrade: websocket\r\n${extensions}sec-websocket-accept: ${acceptKey(key)}\r\n\r\n`,
    );
  }

  /** Messages have one known size, and the next comes only after the turn. */
  #onMessageBytes(bytes: number): void {
    this.#missing -= bytes;
    if (this.#missing > 0) return;
    this.#missing = MESSAGE_BYTES + MASKED_HEAD_BYTES;
    this.#speak(0);
  }

  /** Each event is a write of its own, and all sockets take turns, as models speak. */
  #speak(spoken: number): void {
    const frame = this.#turn[spoken];
    if (this.#socket.destroyed || !frame) return;
    this.#socket.write(frame);
    const next = () => this.#speak(spoken + 1);
    if (this.#pauseMs > 0) setTimeout(next, this.#pauseMs);
    else setImmediate(next);
  }
}

const TURN = new Array<Buffer>(TURN_EVENTS).fill(eventFrame());
const DEFLATED_TURN = deflatedTurn();

function jsonAnswer(): string {
  return withLength('{"id":"resp_1","object":"response","status":"completed","output":[]}');
}

function withLength(body: string): string {
  return `HTTP/1.1 200 OK\r\ndate: ${date()}\r\ncontent-type: application/json\r\nx-request-id: req_1\r\ncontent-length: ${body.length}\r\n\r\n${body}`;
}

function streamHead(): string {
  return `HTTP/1.1 200 OK\r\ndate: ${date()}\r\ncontent-type: text/event-stream\r\nx-request-id: req_1\r\ntransfer-encoding: chunked\r\n\r\n`;
}

function burst(count: number, end = ''): string {
  return streamHead() + eventChunk().repeat(count) + end + LAST_CHUNK;
}

/** As a chunk. */
const END_OF_TURN = chunk(endOfTurn());

function eventChunk(): string {
  return chunk(delta(nowMicros()));
}

/** Of ASCII text. */
function chunk(text: string): string {
  return `${text.length.toString(16)}\r\n${text}\r\n`;
}

let dateText = '';
let dateSecond = 0;
function date(): string {
  const now = Date.now();
  if (now - dateSecond >= 1000) {
    dateSecond = now - (now % 1000);
    dateText = new Date(dateSecond).toUTCString();
  }
  return dateText;
}

const { key, cert } = selfSigned('IP:127.0.0.1');
const plain = createServer((socket) => new Connection(socket));
const tls = createTlsServer({ key, cert }, (socket) => new Connection(socket));
plain.listen(0, '127.0.0.1', 4096, () => {
  tls.listen(0, '127.0.0.1', 4096, () => {
    const [port, tlsPort] = [plain, tls].map((server) => (server.address() as AddressInfo).port);
    process.send?.({ port, tlsPort, cert });
  });
});
process.on('message', () => process.send?.(counts));
process.once('disconnect', () => process.exit());
