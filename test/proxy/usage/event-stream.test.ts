import assert from 'node:assert/strict';
import fc from 'fast-check';
import t from 'tap';
import { EventStream } from '../../../src/proxy/usage/event-stream.ts';
import { ServerEvents } from '../../../src/proxy/usage/server-events.ts';
import { holds } from '../../helpers/property.ts';
import { endEvent, Told, USAGE } from './told.ts';

type Event = { type: string };

const DELTA = { type: 'response.output_text.delta', delta: 'response.completed "usage":{' };
const ITEM = { type: 'response.output_item.added', item: { note: '}{ "a":{}' } };
const CREATED = { type: 'response.created', response: { usage: null, tools: [] } };
const END = endEvent(USAGE);

const usual = (event: Event) => `event: ${event.type}\ndata: ${JSON.stringify(event)}\n\n`;

function read(text: string, cuts: readonly number[] = [Number.MAX_SAFE_INTEGER]): Told {
  const told = new Told();
  const stream = new EventStream(new ServerEvents(told, () => 1_000));
  const bytes = Buffer.from(text);
  let at = 0;
  for (let i = 0; at < bytes.length; i++) {
    const to = at + (cuts[i % cuts.length] ?? 1);
    stream.push(bytes.subarray(at, to));
    at = to;
  }
  return told;
}

const ended = 'ended gpt-x 12/3/5/2';

t.test('the usage of a response that ends in any of three ways', async (t) => {
  for (const type of ['response.completed', 'response.incomplete', 'response.failed']) {
    const text = [CREATED, DELTA, DELTA, endEvent(USAGE, {}, type)].map(usual).join('');
    t.strictSame(read(text).lines, ['created', ended], type);
  }
});

t.test('any layout of the stream, in pieces of any size', async (t) => {
  const layouts: ((event: Event) => string)[] = [
    usual,
    (event) => `data: ${JSON.stringify(event)}\n\n`,
    (event) => `data:${JSON.stringify(event)}\nevent:${event.type}\n\n`,
    (event) => `: a comment\nid: 7\nevent: ${event.type}\r\ndata: ${JSON.stringify(event)}\r\n\r\n`,
    (event) => `event: other\rdata: ${JSON.stringify(event)}\r\r`,
    (event) => `data: ${JSON.stringify(event, null, 2).replaceAll('\n', '\ndata: ')}\n\n`,
    ({ type, ...rest }) => `data: ${JSON.stringify({ ...rest, type })}\n\n`,
  ];
  const pieces = fc.array(fc.integer({ min: 1, max: 90 }), { minLength: 1, maxLength: 5 });
  const layout = fc.constantFrom(...layouts);
  const events = fc.array(fc.constantFrom<Event>(DELTA, DELTA, DELTA, ITEM, CREATED, END), {
    maxLength: 12,
  });
  holds(
    t,
    fc.property(layout, events, pieces, (write, list, cuts) => {
      const known = list.filter((event) => event === CREATED || event === END);
      const lines = known.map((event) => (event === END ? ended : 'created'));
      assert.deepEqual(read(list.map(write).join(''), cuts).lines, lines);
    }),
    { numRuns: 500 },
  );
});

t.test('layouts do not mix up what follows', async (t) => {
  const odd = 'data\n\n:\n\nretry: 5\n\nevent: response.completed\n\ndata: [DONE]\n\n';
  t.strictSame(read(`${odd}${usual(END)}${odd}${usual(DELTA)}`).lines, [ended]);
});

t.test('no event hides where the line of a type is thought to end', async (t) => {
  const failed = '"type":"response.failed"}';
  // Each is just as long as the line of the type before, and a usual data line follows.
  for (const hiding of [`e\ndata:{${failed}\n`, `e\ndata:{"xxxnse.":1,${failed}\n`]) {
    const type = 'response.'.padEnd(hiding.length - 'event: '.length, 'x');
    const text = `${usual({ type }).repeat(2)}${hiding}\ndata: {"type":"${type}"}\n\n`;
    t.strictSame(read(text).lines, ['ended null nothing'], `${hiding.length} bytes`);
  }
});

t.test('a usage that is no count is unreadable, and none is nothing', async (t) => {
  const wrong = [
    { ...USAGE, input_tokens: '12' },
    { ...USAGE, output_tokens: -1 },
    { ...USAGE, output_tokens: 1.5 },
    { ...USAGE, input_tokens: 1e12 },
    { output_tokens: 1 },
    { ...USAGE, input_tokens_details: 'none' },
    { ...USAGE, output_tokens_details: { reasoning_tokens: '2' } },
    'much',
    [1],
    { ...USAGE, note: 'x'.repeat(10_000) },
  ];
  for (const usage of wrong) {
    t.strictSame(read(usual(endEvent(usage))).lines, ['ended gpt-x unreadable']);
  }
  t.strictSame(read(usual(endEvent(null))).lines, ['ended gpt-x nothing']);
  t.strictSame(read(usual(endEvent(undefined))).lines, ['ended gpt-x nothing']);
  const plain = { ...USAGE, input_tokens_details: null, output_tokens_details: undefined };
  t.strictSame(read(usual(endEvent(plain))).lines, ['ended gpt-x 12/0/5/0']);
});

t.test('an event that is not JSON is unreadable if it names an end', async (t) => {
  const cut = usual(END).slice(0, -40);
  t.strictSame(read(`${cut}\n\n${usual(END)}`).lines, ['ended null unreadable', ended]);
  t.strictSame(read('data: {"type":"response.completed",nonsense\n\n').lines, [
    'ended null unreadable',
  ]);
  t.strictSame(read('data: nonsense\n\ndata: "response.completed"\n\n').lines, []);
  t.strictSame(read(cut).lines, [], 'nothing as long as it may go on');
});

t.test('a response of ten megabytes, in small pieces', async (t) => {
  const text = 'all "usage":{"input_tokens":1} \\ and {[ '.repeat(260_000);
  const large = endEvent(USAGE, { output: [{ text }], instructions: text.slice(0, 1_000) });
  t.ok(usual(large).length > 10_000_000);
  t.strictSame(read(usual(large), [1_400, 64 * 1024]).lines, [ended]);
});

t.test('the limits of the account', async (t) => {
  const primary = { used_percent: 42.5, window_minutes: 300, reset_at: 1_790_000_000 };
  const rate_limits = { allowed: true, primary, secondary: null };
  const event = { type: 'codex.rate_limits', plan_type: 'pro', rate_limits };
  const { reports, lines } = read(usual(event) + usual({ ...event, rate_limits: 'x' } as Event));
  t.strictSame(lines, []);
  t.strictSame(reports, [
    {
      limit: 'codex',
      primary: { usedPercent: 42.5, windowMinutes: 300, resetsAt: 1_790_000_000_000 },
      secondary: null,
    },
  ]);
});
