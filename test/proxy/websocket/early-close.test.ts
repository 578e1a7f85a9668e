import { PassThrough } from 'node:stream';
import t from 'tap';
import { watchOpening } from '../../../src/proxy/websocket/early-close.ts';

const MESSAGE = Buffer.alloc(200, 0x81);
const CLOSE = Buffer.from([0x88, 2, 0x03, 0xf0]);
const textFrame = (length: number) =>
  length < 126
    ? Buffer.concat([Buffer.from([0xc1, length]), Buffer.alloc(length, 0x88)])
    : Buffer.concat([
        Buffer.from([0xc1, 126, length >> 8, length & 0xff]),
        Buffer.alloc(length, 1),
      ]);

function open(early = 0) {
  const client = new PassThrough();
  const upstream = new PassThrough();
  const seen = { turnedAway: 0 };
  watchOpening(client, upstream, early, () => {
    seen.turnedAway += 1;
  });
  return { client, upstream, seen };
}

t.test('a close frame as the answer to the first message turns the client away', async (t) => {
  const { client, upstream, seen } = open();
  client.emit('data', MESSAGE);
  upstream.emit('data', textFrame(150));
  t.equal(seen.turnedAway, 0);
  upstream.emit('data', CLOSE);
  upstream.emit('end');
  t.equal(seen.turnedAway, 1);
});

t.test('frames of both lengths are passed over, also when they come in pieces', async (t) => {
  const { upstream, seen } = open(MESSAGE.length);
  for (const byte of Buffer.concat([textFrame(125), textFrame(140), CLOSE])) {
    upstream.emit('data', Buffer.of(byte));
  }
  t.equal(seen.turnedAway, 1);
});

t.test('so does an end without a word', async (t) => {
  const { upstream, seen } = open(MESSAGE.length);
  upstream.emit('end');
  t.equal(seen.turnedAway, 1);
});

t.test('a client that has said nothing was not turned away', async (t) => {
  const { upstream, seen } = open();
  upstream.emit('data', CLOSE);
  t.equal(seen.turnedAway, 0);
});

t.test('a client that closes or leaves was not turned away', async (t) => {
  for (const leave of ['frame', 'end', 'close'] as const) {
    const { client, upstream, seen } = open(MESSAGE.length);
    if (leave === 'frame') client.emit('data', Buffer.from([0x88, 0x80, 1, 2, 3, 4]));
    else client.emit(leave);
    upstream.emit('data', CLOSE);
    upstream.emit('end');
    t.equal(seen.turnedAway, 0, leave);
  }
});

t.test('an upstream that has answered at length may close', async (t) => {
  const { client, upstream, seen } = open(MESSAGE.length);
  upstream.emit('data', textFrame(600));
  upstream.emit('data', CLOSE);
  upstream.emit('end');
  t.equal(seen.turnedAway, 0);
  t.equal(client.listenerCount('data') + upstream.listenerCount('data'), 0, 'no longer watched');
});
