import type { ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
import { setTimeout as delay } from 'node:timers/promises';
import { TLSSocket } from 'node:tls';
import { type Answer, firstHalf } from './answer.ts';
import type { Exchange } from './exchange.ts';
import type { EmulatorState } from './state.ts';

const GARBAGE = '\u0000\u0001 this is not HTTP \u0002\r\n\r\n';

/**
 * Lets the fault of an exchange happen to its connection before any answer.
 * @returns whether the connection is used up, so that nothing more can be sent
 */
export function sabotage(exchange: Exchange, socket: Socket): boolean {
  switch (exchange.fault?.action) {
    case 'reset':
      exchange.severed = true;
      resetSocket(socket);
      return true;
    case 'garbage':
      exchange.severed = true;
      socket.write(GARBAGE);
      socket.destroySoon();
      return true;
    case 'empty':
      exchange.severed = true;
      socket.destroySoon();
      return true;
    case 'hang':
      return true;
    default:
      return false;
  }
}

/** Sends an answer, bent by the fault of its exchange: headers, pauses, a cut in the middle. */
export async function deliver(
  state: EmulatorState,
  exchange: Exchange,
  response: ServerResponse,
  answer: Answer,
): Promise<void> {
  const { record, fault } = exchange;
  const partial = fault?.action === 'cut' || fault?.action === 'stall';
  record.status = answer.status;
  response.writeHead(answer.status, responseHeaders(state, exchange, answer));
  response.flushHeaders();
  state.recorder.changed(record);
  for (const piece of partial ? firstHalf(answer.pieces) : answer.pieces) {
    if (fault?.pieceDelayMs !== undefined) await pause(state, fault.pieceDelayMs);
    if (response.destroyed) return;
    await write(response, piece);
  }
  if (!partial) response.end();
  if (fault?.action === 'cut') {
    exchange.severed = true;
    response.destroy();
  }
}

/** Waits; ends early, without an error, when the emulator closes. */
export async function pause(state: EmulatorState, ms: number): Promise<void> {
  await delay(ms, undefined, { signal: state.closing }).catch(() => undefined);
}

/** Puts the end of an exchange into its record. */
export function trackEnd(state: EmulatorState, exchange: Exchange, response: ServerResponse): void {
  const { record } = exchange;
  response.once('finish', () => {
    record.complete = true;
    state.recorder.changed(record);
  });
  response.once('close', () => {
    record.aborted = !record.complete && !exchange.severed && !state.closing.aborted;
    state.recorder.changed(record);
  });
}

function responseHeaders(
  state: EmulatorState,
  exchange: Exchange,
  answer: Answer,
): Record<string, string> {
  const { pieces } = answer;
  const headers: Record<string, string> = {
    date: new Date(state.now()).toUTCString(),
    'x-request-id': state.nextId('req-'),
    ...answer.headers,
  };
  if (pieces.length === 1) headers['content-length'] = String(Buffer.byteLength(pieces.join('')));
  for (const [name, value] of Object.entries(exchange.fault?.headers ?? {})) {
    headers[name.toLowerCase()] = value;
  }
  return headers;
}

/** Resolves when the bytes went to the kernel, or cannot any more. */
function write(response: ServerResponse, piece: string): Promise<void> {
  return new Promise((resolve) => {
    response.once('close', resolve);
    response.write(piece, () => {
      response.off('close', resolve);
      resolve();
    });
  });
}

// Node refuses resetAndDestroy on a TLS socket.
function resetSocket(socket: Socket): void {
  if (socket instanceof TLSSocket) socket.destroy();
  else socket.resetAndDestroy();
}
