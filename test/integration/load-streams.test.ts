import type { IncomingMessage, ServerResponse } from 'node:http';
import { setImmediate as nextTurn } from 'node:timers/promises';
import t from 'tap';
import { open } from '../helpers/exchange.ts';
import { departures, serveInFrontOf } from '../helpers/load.ts';
import { RESPONSES } from '../helpers/stack.ts';
import { startUpstream } from '../helpers/upstream.ts';

const STREAMS = 100;
const EVENTS = 200;
const SEED = 4;

const eventOf = (stream: unknown, number: number) => `id: ${number}\ndata: ${stream}\n\n`;
const textOf = (stream: unknown) =>
  Array.from({ length: EVENTS }, (_, i) => eventOf(stream, i + 1)).join('');

/** Begins when all are there, so that all are open at once; counts what was abandoned. */
async function play(arrived: Promise<{ request: IncomingMessage; response: ServerResponse }>[]) {
  const exchanges = await Promise.all(arrived);
  const abandoned = { count: 0 };
  for (const { response } of exchanges) {
    response.once('close', () => {
      if (!response.writableFinished) abandoned.count++;
    });
  }
  // Two in a packet.
  for (let number = 1; number <= EVENTS; number += 2) {
    for (const { request, response } of exchanges) {
      const stream = request.headers['x-stream'];
      if (response.destroyed) continue;
      response.write(eventOf(stream, number) + eventOf(stream, number + 1));
    }
    await nextTurn();
  }
  for (const { response } of exchanges) response.end();
  return abandoned;
}

/** Reads a stream up to its end, or leaves after `leaveAt` events. */
function read(url: string, stream: number, leaveAt: number | null): Promise<string> {
  return new Promise((resolve, reject) => {
    const call = open(url + RESPONSES, { method: 'POST', headers: { 'x-stream': stream } });
    call.request.end('{}');
    call.response.then((response) => {
      let text = '';
      response.setEncoding('utf8').on('data', (part: string) => {
        text += part;
        if (leaveAt === null || !text.includes(eventOf(stream, leaveAt))) return;
        call.request.destroy();
        resolve(text);
      });
      response.on('end', () => resolve(text));
      response.on('error', reject);
    }, reject);
  });
}

t.test(`${STREAMS} streams of ${EVENTS} events, some abandoned`, async (t) => {
  const upstream = await startUpstream(t);
  const sidecar = await serveInFrontOf(t, upstream.origin);
  await sidecar.untilIdle(Number.POSITIVE_INFINITY);
  const before = sidecar.descriptors();
  const leaving = departures(STREAMS, EVENTS, SEED);
  const played = play(leaving.map(() => upstream.next()));
  const texts = await Promise.all(leaving.map((leaveAt, i) => read(sidecar.url, i, leaveAt)));
  const gone = leaving.filter((leaveAt) => leaveAt !== null).length;
  const abandoned = await played;
  for (const [stream, text] of texts.entries()) {
    if (leaving[stream] === null) t.equal(text, textOf(stream), 'every event, once, in order');
    else t.ok(textOf(stream).startsWith(text), 'nothing else before it left');
  }
  for (const { socket } of upstream.requests) socket.destroy();
  await sidecar.untilIdle(before);
  t.ok(gone > 0 && gone < STREAMS, `${gone} left`);
  t.equal(abandoned.count, gone, 'the upstream was let go for each of them');
  t.equal(sidecar.program.stderr, '', 'no warning of too many listeners');
});
