import { once } from 'node:events';
import { WebSocket } from 'ws';
import type { TokenUsage } from '../../src/base/token-usage.ts';
import type { Emulator } from '../../src/emulator/index.ts';
import { closeOf, open, send } from './exchange.ts';
import { randomOf } from './load.ts';
import { RESPONSES } from './sidecar.ts';

export interface MixedTurns {
  /** Turns that were told to their end. */
  completed: number;
  /** Turns that began and broke off. */
  broken: number;
  /** Requests and upgrades. */
  exchanges: number;
}

interface Stage {
  url: string;
  emulator: Emulator;
  counted: MixedTurns;
  random: () => number;
  headers: Record<string, string>;
}

/** So many at the same time. */
const ABREAST = 10;
const MODELS = ['gpt-a', 'gpt-b', 'gpt-c'];

/**
 * Turns of all kinds, in an order that the seed gives: over server-sent events and WebSockets, with and
 * without compression, to the end, left by the client, or cut by the backend. Whoever leaves does so
 * where the backend has stopped, so that both sides know what was told.
 */
export async function mixedTurns(
  url: string,
  emulator: Emulator,
  turns: number,
  seed: number,
  headers: Record<string, string> = {},
): Promise<MixedTurns> {
  emulator.settings.compression = 'gzip';
  const counted = { completed: 0, broken: 0, exchanges: 0 };
  const stage = { url, emulator, counted, random: randomOf(seed), headers };
  const kinds = [
    wholeStreams,
    wholeStreams,
    leftStreams,
    cutStreams,
    wholeSockets,
    wholeSockets,
    leftSockets,
    cutSockets,
  ];
  while (counted.completed + counted.broken < turns) {
    const kind = kinds[Math.floor(stage.random() * kinds.length)] ?? wholeStreams;
    await kind(stage);
  }
  return counted;
}

/** What the backend has counted. */
export function toldByBackend({ records }: Emulator): TokenUsage {
  const total = { input: 0, cached: 0, output: 0, reasoning: 0 };
  for (const { usage } of records) {
    if (!usage) continue;
    total.input += usage.input;
    total.cached += usage.cached;
    total.output += usage.output;
    total.reasoning += usage.reasoning;
  }
  return total;
}

async function wholeStreams(stage: Stage): Promise<void> {
  stage.counted.completed += ABREAST;
  await abreast(stage, async () => {
    await send(stage.url + RESPONSES, post(stage));
  });
}

async function leftStreams(stage: Stage): Promise<void> {
  const fault = { path: RESPONSES, upgrade: false, times: ABREAST };
  stage.emulator.addFault({ ...fault, action: 'stall' });
  stage.counted.broken += ABREAST;
  await abreast(stage, async () => {
    const { body, ...options } = post(stage);
    const { request, response } = open(stage.url + RESPONSES, options);
    request.end(body);
    const answer = await response;
    // The first packet holds the first event; the backend stops some events later.
    await once(answer, 'data');
    const closed = closeOf(answer);
    request.destroy();
    await closed;
  });
}

async function cutStreams(stage: Stage): Promise<void> {
  const fault = { path: RESPONSES, upgrade: false, times: ABREAST };
  stage.emulator.addFault({ ...fault, action: 'cut' });
  stage.counted.broken += ABREAST;
  await abreast(stage, async () => {
    const { body, ...options } = post(stage);
    const { request, response } = open(stage.url + RESPONSES, options);
    request.end(body);
    await closeOf(await response);
  });
}

/** Several turns each; some end without a close frame, after the last turn. */
async function wholeSockets(stage: Stage): Promise<void> {
  const each = 1 + Math.floor(stage.random() * 4);
  stage.counted.completed += ABREAST * each;
  await abreast(stage, async () => {
    const socket = await connect(stage);
    for (let turn = 0; turn < each; turn++) await ask(stage, socket, 'response.completed');
    const closed = once(socket, 'close');
    if (stage.random() < 0.5) socket.terminate();
    else socket.close();
    await closed;
  });
}

async function leftSockets(stage: Stage): Promise<void> {
  stage.emulator.addFault({ path: RESPONSES, upgrade: true, times: ABREAST, action: 'stall' });
  stage.counted.broken += ABREAST;
  await abreast(stage, async () => {
    const socket = await connect(stage);
    await ask(stage, socket, 'response.output_item.added');
    const closed = once(socket, 'close');
    socket.terminate();
    await closed;
  });
}

async function cutSockets(stage: Stage): Promise<void> {
  stage.emulator.addFault({ path: RESPONSES, upgrade: true, times: ABREAST, action: 'cut' });
  stage.counted.broken += ABREAST;
  await abreast(stage, async () => {
    const socket = await connect(stage);
    const closed = once(socket, 'close');
    await ask(stage, socket, 'response.output_item.added');
    await closed;
  });
}

async function abreast({ counted }: Stage, work: () => Promise<void>): Promise<void> {
  counted.exchanges += ABREAST;
  await Promise.all(Array.from({ length: ABREAST }, work));
}

function post({ headers, random }: Stage) {
  const settings = { instructions: '', input: [], store: false, stream: true };
  const body = JSON.stringify({ model: modelOf(random), ...settings });
  const accepting = random() < 0.3 ? { 'accept-encoding': 'gzip' } : {};
  const own = { ...headers, ...accepting, 'content-type': 'application/json' };
  return { method: 'POST', headers: own, body };
}

async function connect({ url, headers, random }: Stage): Promise<WebSocket> {
  const socket = new WebSocket(url.replace('http', 'ws') + RESPONSES, {
    headers,
    perMessageDeflate: random() < 0.5,
  });
  socket.on('error', () => undefined);
  await once(socket, 'open');
  return socket;
}

function ask({ random }: Stage, socket: WebSocket, type: string): Promise<void> {
  return takeTurn(socket, modelOf(random), type);
}

/** Asks for a turn, and resolves when an event of this type comes. */
export function takeTurn(
  socket: WebSocket,
  model: string,
  type = 'response.completed',
): Promise<void> {
  return new Promise((resolve) => {
    const onMessage = (data: unknown) => {
      if (!String(data).includes(`"type":"${type}"`)) return;
      socket.off('message', onMessage);
      resolve();
    };
    socket.on('message', onMessage);
    socket.send(JSON.stringify({ type: 'response.create', model, input: [] }));
  });
}

function modelOf(random: () => number): string {
  return MODELS[Math.floor(random() * MODELS.length)] ?? '';
}
