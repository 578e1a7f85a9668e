import type { Socket } from 'node:net';
import { setImmediate as nextTurn } from 'node:timers/promises';
import type { Test } from 'tap';
import { dialTcp } from './exchange.ts';
import {
  comparableAnswer,
  comparableRequest,
  expectedAnswer,
  expectedRequest,
  FEDRAMP_LOGIN,
} from './permitted.ts';
import { startSidecarInFrontOf } from './sidecar.ts';
import { startTcpUpstream } from './upstream.ts';
import { headerOf, readAnswer, type WireAnswer, type WireMessage, WireReader } from './wire.ts';

/** Written one after the other, each in a turn of its own; strings are latin1. */
export type Pieces = string | Buffer | readonly (string | Buffer)[];

/** One exchange, byte for byte. */
export interface Case {
  request: Pieces;
  answer?: Pieces;
  /** Whether the upstream ends the connection after its answer. */
  closes?: boolean;
  /** What the client sends once it was told `100 Continue`, or, of an upgrade, 101. */
  later?: Pieces;
}

const OK = 'HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok';

/** Sends a case directly and through the sidecar, and fails where the two differ. */
export type Compare = (t: Test, example: Case) => Promise<void>;

/** A recording upstream, and a sidecar in front of it. */
export async function startConformance(t: Test): Promise<Compare> {
  const recorder = new Recorder();
  const upstream = await startTcpUpstream(t, (socket) => void recorder.serve(socket));
  const everything = { methods: ['*'], path: '/backend-api/*', auth: 'bearer' };
  const inference = { methods: ['*'], path: '/backend-api/codex/responses', auth: 'assertion' };
  const sidecar = await startSidecarInFrontOf(t, upstream.origin, {
    authJson: FEDRAMP_LOGIN,
    config: { routes: [inference, everything] },
  });
  return async (t, example) => {
    recorder.example = example;
    const direct = await exchange(t, recorder, upstream.port);
    const through = await exchange(t, recorder, sidecar.port);
    const host = `127.0.0.1:${upstream.port}`;
    const request = comparableRequest(through.request);
    agree(t, request, expectedRequest(direct.request, host, request));
    const answer = comparableAnswer(through.answer);
    agree(t, answer, expectedAnswer(direct.answer, answer));
  };
}

/** Bodies apart, because a failure prints them. */
function agree(t: Test, actual: WireMessage, expected: WireMessage): void {
  t.strictSame({ ...actual, body: null }, { ...expected, body: null });
  t.ok(actual.body.equals(expected.body), 'and every byte of the body');
}

async function exchange(t: Test, recorder: Recorder, port: number) {
  const client = await dialTcp(t, port);
  const answer = await converse(client, recorder.example);
  client.destroy();
  const request = recorder.take();
  if (!request) throw new Error(`the upstream got no request, the client ${answer.start}`);
  return { request, answer };
}

async function converse(client: Socket, { request, later }: Case): Promise<WireAnswer> {
  const reader = new WireReader(client);
  const [method = ''] = beginOf(request).split(' ', 1);
  const answer = readAnswer(reader, method, async (status) => {
    if (later && (status === 100 || status === 101)) await write(client, later);
    if (status === 101) client.end();
  });
  await write(client, request);
  return answer;
}

/** The upstream: records a request whole, then answers as the case wants. */
class Recorder {
  example: Case = { request: '' };
  #request: WireMessage | null = null;

  take(): WireMessage | null {
    const request = this.#request;
    this.#request = null;
    return request;
  }

  async serve(socket: Socket): Promise<void> {
    const reader = new WireReader(socket);
    for (let request = await reader.head(); request; request = await reader.head()) {
      const { answer = OK, closes } = this.example;
      const switches = beginOf(answer).startsWith('HTTP/1.1 101');
      this.#request = request;
      if (headerOf(request, 'expect')) await write(socket, 'HTTP/1.1 100 Continue\r\n\r\n');
      if (switches) await write(socket, answer);
      await reader.body(request, switches);
      if (!switches) await write(socket, answer);
      if (switches || closes) socket.end();
    }
  }
}

async function write(socket: Socket, pieces: Pieces): Promise<void> {
  socket.setNoDelay(true);
  for (const piece of piecesOf(pieces)) {
    socket.write(piece, 'latin1');
    await nextTurn();
  }
}

/** Enough of the first line to know what it is. */
function beginOf(pieces: Pieces): string {
  const few = piecesOf(pieces).slice(0, 16);
  return few.map((piece) => piece.slice(0, 16).toString()).join('');
}

function piecesOf(pieces: Pieces): readonly (string | Buffer)[] {
  return typeof pieces === 'string' || Buffer.isBuffer(pieces) ? [pieces] : pieces;
}
