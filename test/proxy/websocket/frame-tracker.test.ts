import fc from 'fast-check';
import t from 'tap';
import { FrameTracker } from '../../../src/proxy/websocket/frame-tracker.ts';

interface Frame {
  fin: boolean;
  opcode: number;
  masked: boolean;
  length: number;
  /** Bytes of the length field beyond the first; more than needed is legal to follow. */
  extended: 0 | 2 | 8;
}

const TEXT = 1;
const CLOSE = 8;
const PING = 9;

function encode({ fin, opcode, masked, length, extended }: Frame): Buffer {
  const short = extended === 0 ? length : extended === 2 ? 126 : 127;
  const head = Buffer.alloc(2 + extended + (masked ? 4 : 0), 0x88);
  head[0] = (fin ? 0x80 : 0) | opcode;
  head[1] = (masked ? 0x80 : 0) | short;
  if (extended === 2) head.writeUInt16BE(length, 2);
  if (extended === 8) head.writeBigUInt64BE(BigInt(length), 2);
  // A payload that looks like close frames.
  return Buffer.concat([head, Buffer.alloc(length, 0x88)]);
}

const frame = (opcode: number, length = 3, more: Partial<Frame> = {}): Frame => ({
  ...{ fin: true, opcode, masked: false, length, extended: length > 125 ? 2 : 0 },
  ...more,
});

function follow(...chunks: Buffer[]): FrameTracker {
  const tracker = new FrameTracker();
  for (const chunk of chunks) tracker.push(chunk);
  return tracker;
}

const frames = fc.array(
  fc.record({
    fin: fc.boolean(),
    opcode: fc.constantFrom(0, 1, 2, PING, 10),
    masked: fc.boolean(),
    length: fc.oneof(fc.integer({ min: 0, max: 125 }), fc.integer({ min: 126, max: 70_000 })),
  }),
  { minLength: 1, maxLength: 6 },
);

function withField(base: Omit<Frame, 'extended'>): Frame {
  return { ...base, extended: base.length > 65_535 ? 8 : base.length > 125 ? 2 : 0 };
}

t.test('boundaries are where the frames end, however the bytes are cut', async (t) => {
  fc.assert(
    fc.property(frames, fc.array(fc.integer({ min: 1, max: 90_000 })), (bases, steps) => {
      const encoded = bases.map((base) => encode(withField(base)));
      const bytes = Buffer.concat(encoded);
      const ends = new Set<number>([0]);
      for (const part of encoded) ends.add(Math.max(...ends) + part.length);
      const tracker = new FrameTracker();
      let at = 0;
      for (const step of [...steps, bytes.length]) {
        const next = Math.min(bytes.length, at + step);
        tracker.push(bytes.subarray(at, next));
        at = next;
        if (tracker.atBoundary !== ends.has(at)) return false;
      }
      return true;
    }),
    { numRuns: 200 },
  );
  t.pass();
});

t.test('every byte of a head counts', async (t) => {
  for (const extended of [0, 2, 8] as const) {
    for (const masked of [false, true]) {
      const bytes = encode(frame(TEXT, 100, { extended, masked }));
      const tracker = new FrameTracker();
      for (const byte of bytes.subarray(0, -1)) {
        tracker.push(Buffer.of(byte));
        t.notOk(tracker.atBoundary);
      }
      tracker.push(bytes.subarray(-1));
      t.ok(tracker.atBoundary);
    }
  }
});

t.test('a message may be made of several frames, with control frames between them', async (t) => {
  const tracker = follow(encode(frame(TEXT, 3, { fin: false })), encode(frame(PING)));
  t.ok(tracker.atBoundary);
  t.notOk(tracker.betweenMessages);
  tracker.push(encode(frame(0)));
  t.ok(tracker.betweenMessages);
});

t.test('control frames are no part of a message', async (t) => {
  const tracker = new FrameTracker();
  t.equal(tracker.push(encode(frame(PING))), false);
  const ping = encode(frame(PING, 100));
  t.equal(tracker.push(ping.subarray(0, 50)), false);
  t.equal(tracker.push(ping.subarray(50)), false);
  t.equal(tracker.push(Buffer.concat([ping, encode(frame(TEXT, 0))])), true, 'an empty one is');
  const text = encode(frame(TEXT, 300));
  t.equal(tracker.push(text.subarray(0, 3)), false, 'half a head says nothing');
  t.equal(tracker.push(text.subarray(3, 50)), true);
  t.equal(tracker.push(text.subarray(50)), true);
});

t.test('after a close frame nothing may follow', async (t) => {
  const tracker = follow(encode(frame(TEXT)));
  t.notOk(tracker.closed);
  tracker.push(encode(frame(CLOSE, 2)));
  t.ok(tracker.closed);
  t.notOk(tracker.atBoundary);
  tracker.push(encode(frame(TEXT)));
  t.notOk(tracker.atBoundary);
});

t.test('lengths beyond 32 bits are followed', async (t) => {
  const head = Buffer.from([0x82, 127, 0, 0, 0, 1, 0, 0, 0, 0]);
  const tracker = follow(head);
  const chunk = Buffer.alloc(2 ** 20);
  for (let i = 1; i < 2 ** 12; i++) tracker.push(chunk);
  t.notOk(tracker.atBoundary);
  tracker.push(chunk);
  t.ok(tracker.atBoundary);
});
