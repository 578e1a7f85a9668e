import { type IncomingMessage, type Server, ServerResponse } from 'node:http';
import { type WebSocket, WebSocketServer } from 'ws';
import { limitsEvent } from './account-limits.ts';
import { MODEL_BASES, turnHeaders } from './codex-api.ts';
import { deliver, pause, trackEnd } from './deliver.ts';
import type { EmulatedExchange } from './exchange.ts';
import { examine, intercept } from './gate.ts';
import { firstHalf, notFound, type ServerEvent } from './response.ts';
import { type EmulatorState, openExchange } from './state.ts';
import { turnEvents } from './turn.ts';
import { withUsage } from './usage.ts';
import type { RequiredAuth } from './verify.ts';

const MAX_MESSAGE_BYTES = 16 * 1024 * 1024;
const POLICY_VIOLATION = 1008;

/** Serves inference over WebSocket: `response.create` frames in, the events of a turn out. */
export function addWebSockets(server: Server, state: EmulatorState): void {
  const sockets = new WebSocketServer({
    noServer: true,
    // Small messages too, so that whoever reads them aside has to inflate them.
    perMessageDeflate: { threshold: 0 },
    maxPayload: MAX_MESSAGE_BYTES,
  });
  sockets.on('headers', (lines, request) => {
    const { fault } = state.exchanges.get(request) ?? { fault: null };
    const headers = {
      date: new Date(state.now()).toUTCString(),
      'x-request-id': state.nextId('req-'),
      ...turnHeaders(state, request.headers),
      ...fault?.headers,
    };
    for (const [name, value] of Object.entries(headers)) lines.push(`${name}: ${value}`);
  });
  server.on('upgrade', (request, _socket, head) => {
    void upgrade(state, sockets, request, head);
  });
}

async function upgrade(
  state: EmulatorState,
  sockets: WebSocketServer,
  request: IncomingMessage,
  head: Buffer,
): Promise<void> {
  const { socket } = request;
  socket.on('error', () => socket.destroy());
  const exchange = openExchange(state, request, 'websocket');
  const route = routeOf(request.url ?? '');
  examine(state, exchange, route ?? 'none');
  const response = plainResponse(state, exchange, request);
  if (await intercept(state, exchange, { response, socket })) return;
  if (route === null) return deliver(state, exchange, response, notFound());
  response.detachSocket(socket);
  sockets.handleUpgrade(request, socket, head, (client) => {
    serve(state, exchange, client);
  });
}

function serve(state: EmulatorState, exchange: EmulatedExchange, client: WebSocket): void {
  const { record, fault } = exchange;
  record.status = 101;
  state.recorder.changed(record);
  client.on('error', () => client.terminate());
  client.on('close', (code) => {
    record.complete = code !== 1006 && !exchange.severed;
    record.aborted = code === 1006 && !exchange.severed && !state.closing.aborted;
    state.recorder.changed(record);
  });
  let turns = Promise.resolve();
  client.on('message', (data, isBinary) => {
    const frame = isBinary ? null : parseFrame(String(data));
    record.frames.push(frame);
    state.recorder.changed(record);
    if (fault?.action === 'close-after-first-frame') {
      client.close(POLICY_VIOLATION, 'assertion refused');
      return;
    }
    turns = turns.then(() => responseFrame(state, exchange, client, frame));
  });
}

async function responseFrame(
  state: EmulatorState,
  exchange: EmulatedExchange,
  client: WebSocket,
  frame: unknown,
): Promise<void> {
  const { fault, record } = exchange;
  const partial = fault?.action === 'cut' || fault?.action === 'stall';
  const events = [...limitsFor(state, exchange), ...eventsFor(state, frame)];
  const frames = events.map((event) => JSON.stringify(event));
  for (const text of partial ? firstHalf(frames) : frames) {
    if (fault?.pieceDelayMs !== undefined) await pause(state, fault.pieceDelayMs);
    if (client.readyState !== client.OPEN) return;
    await new Promise((resolve) => client.send(text, resolve));
  }
  if (!partial) record.usage = withUsage(record.usage, events.at(-1)?.response);
  if (fault?.action === 'cut') {
    exchange.severed = true;
    client.terminate();
  }
}

function limitsFor({ settings, now }: EmulatorState, { verdict }: EmulatedExchange): ServerEvent[] {
  const account = verdict?.account;
  return settings.tellLimits && account ? [limitsEvent(account.planType, now())] : [];
}

function eventsFor(state: EmulatorState, frame: unknown): ServerEvent[] {
  const isCreate =
    typeof frame === 'object' &&
    frame !== null &&
    'type' in frame &&
    frame.type === 'response.create';
  if (isCreate) return turnEvents(frame, state);
  const message = 'expected a text frame of type response.create';
  const error = { type: 'invalid_request_error', code: 'invalid_request', message };
  return [{ type: 'error', status: 400, error, headers: {} }];
}

/** Lets an upgrade be answered like any request, by the same functions. */
function plainResponse(
  state: EmulatorState,
  exchange: EmulatedExchange,
  request: IncomingMessage,
): ServerResponse {
  const { socket } = request;
  const response = new ServerResponse(request);
  response.shouldKeepAlive = false;
  response.assignSocket(socket);
  trackEnd(state, exchange, response);
  response.once('finish', () => socket.destroySoon());
  return response;
}

function routeOf(url: string): RequiredAuth | null {
  const [path] = url.split('?', 1);
  return MODEL_BASES.find(({ base }) => path === `${base}/responses`)?.inference ?? null;
}

function parseFrame(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return null;
  }
}
