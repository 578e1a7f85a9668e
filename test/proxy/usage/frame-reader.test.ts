import { constants, createDeflateRaw, deflateRawSync } from 'node:zlib';
import t from 'tap';
import { DecodingBudget } from '../../../src/proxy/usage/aside-decoder.ts';
import { FrameReader } from '../../../src/proxy/usage/frame-reader.ts';
import { FrameTracker } from '../../../src/proxy/websocket/frame-tracker.ts';
import { countedTurns, endEvent, LIMITS, USAGE } from './told.ts';

const CREATED = { type: 'response.created', response: {} };
const DELTA = { type: 'response.output_text.delta', delta: 'word' };
const TURN = [CREATED, DELTA, DELTA, endEvent(USAGE)];
const COUNTED = 'gpt-x 12/3/5/2';
const DEFLATE = 'permessage-deflate';
const NO_WINDOW = 'permessage-deflate; server_no_context_takeover';

const FIN = 0x80;
const RSV1 = 0x40;
const TEXT = 1;

/** A frame as a server sends it; `first` is the first byte of its head. */
function frame(first: number, payload: Buffer): Buffer {
  const { length } = payload;
  const size = Buffer.alloc(length < 126 ? 1 : length < 65_536 ? 3 : 9);
  if (size.length === 1) size[0] = length;
  else if (size.length === 3) size.writeUInt16BE(length, size.writeUInt8(126));
  else size.writeBigUInt64BE(BigInt(length), size.writeUInt8(127));
  return Buffer.concat([Buffer.from([first]), size, payload]);
}

const plain = (event: object) => frame(FIN | TEXT, Buffer.from(JSON.stringify(event)));

/** Compresses message after message as one sender does, each with the window of those before. */
class Sender {
  readonly #deflate = createDeflateRaw();

  async frame(text: string): Promise<Buffer> {
    const chunks: Buffer[] = [];
    const collect = (chunk: Buffer) => void chunks.push(chunk);
    this.#deflate.on('data', collect);
    this.#deflate.write(text);
    await new Promise<void>((resolve) => this.#deflate.flush(constants.Z_SYNC_FLUSH, resolve));
    this.#deflate.off('data', collect);
    return frame(FIN | RSV1 | TEXT, Buffer.concat(chunks).subarray(0, -4));
  }

  event(event: object): Promise<Buffer> {
    return this.frame(JSON.stringify(event));
  }
}

/** As a message that others may follow. */
const deflated = (text: Buffer | string, level = 6) =>
  deflateRawSync(text, { level, finishFlush: constants.Z_SYNC_FLUSH });

function reader(extensions: string | null, defect: Error | null = null) {
  const { turns, lines, reports } = countedTurns(null, defect);
  const frames = new FrameReader(extensions, turns, () => 0, new DecodingBudget());
  const tracker = new FrameTracker(frames);
  const end = async () => {
    await frames.finish();
    turns.over();
  };
  return { push: (bytes: Buffer) => tracker.push(bytes), frames, turns, lines, reports, end };
}

t.test('turns in plain frames', async (t) => {
  const { push, lines } = reader(null);
  for (const event of [...TURN, ...TURN]) push(plain(event));
  t.strictSame(lines, [COUNTED, COUNTED], 'at once');
});

t.test(
  'turns in frames that are cut anywhere, in fragments, with control frames between',
  async (t) => {
    const message = Buffer.from(JSON.stringify(endEvent(USAGE)));
    const ping = frame(FIN | 9, Buffer.from('{"type":"response.completed"}'));
    const pieces = [0, 5, 200].map((at, i, all) => message.subarray(at, all[i + 1]));
    const fragments = pieces.map((piece, i) =>
      frame((i === 0 ? TEXT : 0) | (i === pieces.length - 1 ? FIN : 0), piece),
    );
    const empty = frame(FIN | TEXT, Buffer.alloc(0));
    const bytes = Buffer.concat([empty, ...fragments.flatMap((part) => [part, ping]), ping, empty]);
    for (const size of [1, 2, 7, 1_000]) {
      const { push, lines } = reader(null);
      for (let at = 0; at < bytes.length; at += size) push(bytes.subarray(at, at + size));
      t.strictSame(lines, [COUNTED], `${size}`);
    }
  },
);

t.test('turns in compressed frames, and in small ones that are not', async (t) => {
  const { push, lines, end } = reader(DEFLATE);
  const sender = new Sender();
  for (const event of [...TURN, ...TURN]) {
    push(event === DELTA ? plain(event) : await sender.event(event));
  }
  const [first, ...rest] = [await sender.event(endEvent(USAGE))];
  for (const byte of first ?? []) push(Buffer.of(byte));
  t.equal(rest.length, 0);
  await end();
  t.strictSame(lines, [COUNTED, COUNTED, COUNTED]);
});

t.test('a plain message is read behind the compressed ones that came before it', async (t) => {
  const { push, turns } = reader(DEFLATE);
  push(await new Sender().event({ type: 'response.created', response: {} }));
  t.equal(turns.open, 0, 'it waits for more');
  push(plain({ type: 'other' }));
  t.equal(turns.open, 1);
});

t.test('messages that began no turn are forgotten with the next one behind a turn', async (t) => {
  const { push, turns, lines } = reader(null);
  for (let turn = 0; turn < 5; turn++) {
    turns.asked();
    for (const event of TURN) push(plain(event));
    turns.asked();
  }
  turns.asked();
  push(plain({ type: 'response.created', response: {} }));
  turns.lost();
  const unreadable = lines.filter((line) => line.endsWith('unreadable'));
  t.ok(
    unreadable.length <= 2,
    `${unreadable.length} of one that runs, and one that was never a turn`,
  );
});

t.test('compressed messages point into those before, whenever those were read', async (t) => {
  const { push, lines, frames, end } = reader(DEFLATE);
  const sender = new Sender();
  // More than the window, and more than is read together.
  const fill = Array.from({ length: 3_000 }, (_, i) => ({ ...DELTA, delta: `${i * 7_919}` }));
  for (const event of [...TURN, ...fill, ...TURN, ...TURN]) {
    push(await sender.event(event));
    if (!('delta' in event) || event.delta.endsWith('00')) frames.flush();
  }
  frames.flush();
  t.strictSame(lines, [COUNTED, COUNTED, COUNTED], 'at once');
  await end();
});

t.test('a long message points into those before, and those behind it into it', async (t) => {
  const { push, lines, frames, end } = reader(DEFLATE);
  const sender = new Sender();
  const noise = Array.from({ length: 12_000 }, (_, i) => Math.sin(i).toString(36)).join(' ');
  for (const event of TURN) push(await sender.event(event));
  frames.flush();
  push(await sender.event(CREATED));
  const large = await sender.event(endEvent(USAGE, { instructions: noise }));
  t.ok(large.length > 70_000, 'too long to wait for its end');
  for (let at = 0; at < large.length; at += 50_000) push(large.subarray(at, at + 50_000));
  for (const event of TURN) push(await sender.event(event));
  await end();
  t.strictSame(lines, [COUNTED, COUNTED, COUNTED]);
});

t.test('messages of a sender without a window', async (t) => {
  const { push, lines, frames, end } = reader(NO_WINDOW);
  for (const event of [...TURN, ...TURN]) {
    push(await new Sender().event(event));
    frames.flush();
  }
  await end();
  t.strictSame(lines, [COUNTED, COUNTED]);
});

t.test('a sender that has a window, where none was agreed on, is unreadable', async (t) => {
  const { push, lines, frames, turns, end } = reader(NO_WINDOW);
  const sender = new Sender();
  turns.asked();
  for (const event of TURN) {
    push(await sender.event(event));
    frames.flush();
  }
  await end();
  t.strictSame(lines, ['unknown unreadable']);
});

t.test('events in another order, among those that are passed over', async (t) => {
  const { push, lines, end } = reader(DEFLATE);
  const sender = new Sender();
  const code = { ...DELTA, delta: 'if (a) { return {"b": {}} }{ "c' };
  const braces = { ...DELTA, delta: '}{' };
  const { type, ...rest } = endEvent(USAGE);
  const wide = (event: object) => JSON.stringify(event, null, 1);
  const texts = [
    ...TURN,
    code,
    { ...rest, type },
    braces,
    DELTA,
    code,
    braces,
    endEvent(USAGE),
    DELTA,
  ].map((event) => JSON.stringify(event));
  for (const text of [
    ...texts,
    wide(endEvent(USAGE)),
    texts[1] ?? '',
    ` ${texts[3]}`,
    texts[1] ?? '',
  ]) {
    push(await sender.frame(text));
  }
  await end();
  t.strictSame(lines, new Array(5).fill(COUNTED));
});

t.test('a compressed message of ten megabytes', async (t) => {
  const { push, lines, end } = reader(DEFLATE);
  const noise = Array.from({ length: 400_000 }, (_, i) => Math.sin(i).toString(36)).join(' ');
  const text = JSON.stringify(endEvent(USAGE, { instructions: noise.repeat(2) }));
  t.ok(text.length > 10_000_000);
  const bytes = frame(FIN | RSV1 | TEXT, deflated(text, 1));
  for (let at = 0; at < bytes.length; at += 65_536) {
    push(bytes.subarray(at, at + 65_536));
    await new Promise(setImmediate);
  }
  await end();
  t.strictSame(lines, [COUNTED]);
});

t.test('a turn that breaks off is unfinished, once', async (t) => {
  for (const extensions of [null, DEFLATE]) {
    const { push, lines, end } = reader(extensions);
    const sender = new Sender();
    for (const event of [...TURN, CREATED, DELTA]) {
      push(extensions ? await sender.event(event) : plain(event));
    }
    await end();
    t.strictSame(lines, [COUNTED, 'unknown unfinished']);
  }
});

t.test(
  'what cannot be read is unknown: this turn, and each that the client asks for',
  async (t) => {
    const sender = new Sender();
    const garbage = frame(FIN | RSV1 | TEXT, Buffer.alloc(60, 0xff));
    const cases: [string, string | null, Buffer[]][] = [
      ['an extension that nobody knows', 'x-secret', []],
      ['one more extension', 'permessage-deflate, x-secret', []],
      ['a compressed frame without agreement', null, [await sender.event(CREATED)]],
      ['a masked frame of a server', null, [Buffer.from([0x81, 0x81, 1, 2, 3, 4, 5])]],
      ['reserved bits', null, [frame(FIN | 0x20 | TEXT, Buffer.from('{}'))]],
      ['compression that is none', DEFLATE, [garbage]],
      ['compressed text that is no JSON', DEFLATE, [await new Sender().frame('hello')]],
      ['a window that is over', DEFLATE, [frame(FIN | RSV1 | TEXT, deflateRawSync('{}'))]],
      ['a bomb', DEFLATE, [frame(FIN | RSV1 | TEXT, deflated(Buffer.alloc(16_777_216, 0x20)))]],
    ];
    for (const [what, extensions, frames] of cases) {
      const { push, lines, turns, frames: read, end } = reader(extensions);
      turns.asked();
      for (const bytes of frames) push(bytes);
      read.flush();
      // The last two chunks of a decoder come in turns of their own.
      for (let turn = 0; lines.length === 0 && turn < 1_000; turn++) {
        await new Promise(setImmediate);
      }
      turns.asked();
      await end();
      t.strictSame(lines, ['unknown unreadable', 'unknown unreadable'], what);
    }
  },
);

t.test('a defect of whoever is told ends the reading and nothing else', async (t) => {
  for (const extensions of [null, DEFLATE]) {
    const { push, lines, turns, end } = reader(extensions, new Error('defect'));
    const sender = new Sender();
    turns.asked();
    for (const event of [CREATED, LIMITS, endEvent(USAGE)]) {
      push(extensions ? await sender.event(event) : plain(event));
    }
    await end();
    t.strictSame(lines, ['unknown unreadable']);
  }
});

t.test('frames without text tell nothing', async (t) => {
  const { push, lines, end } = reader(null);
  push(frame(FIN | 2, Buffer.from(JSON.stringify(endEvent(USAGE)))));
  push(frame(FIN | TEXT, Buffer.from('hello')));
  push(plain([endEvent(USAGE)]));
  await end();
  t.strictSame(lines, []);
});

t.test('errors that stand for a 429, and the limits that they tell', async (t) => {
  const { push, lines, reports } = reader(null);
  const headers = { 'X-Codex-Primary-Used-Percent': '100', 'x-codex-primary-window-minutes': 300 };
  push(plain({ type: 'error', status: 429, error: { type: 'usage_limit_reached' }, headers }));
  push(plain({ type: 'error', status_code: 429, error: { code: 'rate_limit_exceeded' } }));
  push(plain({ type: 'error', status: 400, error: { code: 'usage_limit_reached' } }));
  t.strictSame(lines, ['limited quota', 'limited other']);
  t.match(reports, [{ limit: 'codex', primary: { usedPercent: 100, windowMinutes: 300 } }]);
  t.equal(reports.length, 1);
});
