import type { ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
import { setTimeout as delay } from 'node:timers/promises';
import { TLSSocket } from 'node:tls';
import { type Encoder, encoderFor } from './compression.ts';
import type { EmulatedExchange } from './exchange.ts';
import { type EmulatedResponse, firstHalf } from './response.ts';
import type { EmulatorState } from './state.ts';

const GARBAGE = '\u0000\u0001 this is not HTTP \u0002\r\n\r\n';

/**
 * Lets the fault of an exchange happen to its connection before any response.
 * @returns whether the connection is used up, so that nothing more can be sent
 */
export function sabotage(exchange: EmulatedExchange, socket: Socket): boolean {
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

/** Sends a response, bent by the fault of its exchange: headers, pauses, a cut in the middle. */
export async function deliver(
  state: EmulatorState,
  exchange: EmulatedExchange,
  reply: ServerResponse,
  response: EmulatedResponse,
): Promise<void> {
  const { record, fault } = exchange;
  const partial = fault?.action === 'cut' || fault?.action === 'stall';
  const { compression } = state.settings;
  const encoder = encoderFor(compression, record.headers['accept-encoding']);
  record.status = response.status;
  reply.writeHead(response.status, responseHeaders(state, exchange, response, encoder));
  reply.flushHeaders();
  state.recorder.changed(record);
  for (const piece of partial ? firstHalf(response.pieces) : response.pieces) {
    if (fault?.pieceDelayMs !== undefined) await pause(state, fault.pieceDelayMs);
    if (reply.destroyed) return;
    await write(reply, encoder ? await encoder.encode(piece) : piece);
  }
  if (!partial) {
    record.usage = response.usage ?? null;
    reply.end(await encoder?.end());
  }
  if (fault?.action === 'cut') {
    exchange.severed = true;
    reply.destroy();
  }
}

/** Waits; ends early, without an error, when the emulator closes. */
export async function pause(state: EmulatorState, ms: number): Promise<void> {
  await delay(ms, undefined, { signal: state.closing }).catch(() => undefined);
}

/** Puts the end of an exchange into its record. */
export function trackEnd(
  state: EmulatorState,
  exchange: EmulatedExchange,
  response: ServerResponse,
): void {
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
  exchange: EmulatedExchange,
  response: EmulatedResponse,
  encoder: Encoder | null,
): Record<string, string> {
  const { pieces } = response;
  const headers: Record<string, string> = {
    date: new Date(state.now()).toUTCString(),
    'x-request-id': state.nextId('req-'),
    ...response.headers,
  };
  if (encoder) headers['content-encoding'] = encoder.coding;
  else if (pieces.length === 1) {
    headers['content-length'] = String(Buffer.byteLength(pieces.join('')));
  }
  for (const [name, value] of Object.entries(exchange.fault?.headers ?? {})) {
    headers[name.toLowerCase()] = value;
  }
  return headers;
}

/** Resolves when the bytes went to the kernel, or cannot any more. */
function write(response: ServerResponse, piece: string | Buffer): Promise<void> {
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
