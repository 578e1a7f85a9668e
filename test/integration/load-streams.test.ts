import { setImmediate as nextTurn } from 'node:timers/promises';
import t from 'tap';
import { closeOf, open } from '../helpers/exchange.ts';
import { departures, serveInFrontOf } from '../helpers/load.ts';
import { RESPONSES } from '../helpers/sidecar.ts';
import { startUpstream, type UpstreamExchange } from '../helpers/upstream.ts';

const STREAMS = 100;
// Of each; nobody leaves in the second half.
const EVENTS = 200;
const SEED = 4;

const eventOf = (stream: unknown, number: number) => `id: ${number}\ndata: ${stream}\n\n`;
const textOf = (stream: unknown) =>
  Array.from({ length: EVENTS }, (_, i) => eventOf(stream, i + 1)).join('');

/**
 * Begins when all are there, so that all are open at once. After half of the events it waits until
 * those that leave are seen to have left.
 */
async function play(
  arrived: Promise<UpstreamExchange>[],
  leaves: (exchange: UpstreamExchange) => boolean,
): Promise<void> {
  const exchanges = await Promise.all(arrived);
  await say(exchanges, 1, EVENTS / 2);
  const left = exchanges.filter(leaves).map(({ response }) => closeOf(response));
  await Promise.all(left);
  const rest = exchanges.filter((exchange) => !leaves(exchange));
  await say(rest, EVENTS / 2 + 1, EVENTS);
  for (const { response } of rest) response.end();
}

/** Two events in a packet, one packet a turn to each. */
async function say(exchanges: UpstreamExchange[], from: number, to: number): Promise<void> {
  for (let number = from; number <= to; number += 2) {
    for (const { request, response } of exchanges) {
      const stream = request.headers['x-stream'];
      response.write(eventOf(stream, number) + eventOf(stream, number + 1));
    }
    await nextTurn();
  }
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
  const leaves = ({ request }: UpstreamExchange) =>
    leaving[Number(request.headers['x-stream'])] !== null;
  const arrived = leaving.map(() => upstream.next());
  const reading = leaving.map((leaveAt, i) => read(sidecar.url, i, leaveAt));
  await play(arrived, leaves);
  for (const [stream, text] of (await Promise.all(reading)).entries()) {
    if (leaving[stream] === null) t.equal(text, textOf(stream), 'every event, once, in order');
    else t.ok(textOf(stream).startsWith(text), 'nothing else before it left');
  }
  for (const { socket } of upstream.requests) socket.destroy();
  await sidecar.untilIdle(before);
  t.ok(leaving.some((leaveAt) => leaveAt !== null));
  t.equal(sidecar.program.stderr, '', 'no warning of too many listeners');
});
