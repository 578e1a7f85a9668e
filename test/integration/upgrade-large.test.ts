import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import t from 'tap';
import type { WebSocket } from 'ws';
import { openPair } from '../helpers/websocket.ts';

// The largest message that the backend takes.
const LARGEST = randomBytes(8 * 1024 * 1024).toString('hex');
const FRAGMENTS = 64;

/** Sends `text` in fragments, with a ping behind each but the last. */
function sendFragmented(socket: WebSocket, text: string): void {
  const size = text.length / FRAGMENTS;
  for (let i = 0; i < FRAGMENTS; i++) {
    const last = i === FRAGMENTS - 1;
    socket.send(text.slice(i * size, (i + 1) * size), { fin: last });
    if (!last) socket.ping(String(i));
  }
}

for (const deflate of [false, true]) {
  const how = deflate ? 'with permessage-deflate' : 'uncompressed';

  t.test(`16 MiB in one frame pass both ways at once, ${how}`, async (t) => {
    const { client, upstream } = await openPair(t, deflate);
    const got = [once(client, 'message'), once(upstream, 'message')];
    for (const socket of [client, upstream]) socket.send(LARGEST);
    for (const [data] of await Promise.all(got)) t.ok(String(data) === LARGEST);
  });
}

t.test('16 MiB in fragments pass both ways, and pings between them', async (t) => {
  const { client, upstream } = await openPair(t);
  for (const [from, to] of [
    [client, upstream],
    [upstream, client],
  ] as const) {
    const pings: string[] = [];
    to.on('ping', (data) => pings.push(String(data)));
    const message = once(to, 'message');
    sendFragmented(from, LARGEST);
    t.ok(String((await message)[0]) === LARGEST);
    t.strictSame(
      pings,
      Array.from({ length: FRAGMENTS - 1 }, (_, i) => String(i)),
    );
  }
});

t.test('an empty message is one', async (t) => {
  const { client, upstream } = await openPair(t);
  const message = once(upstream, 'message');
  client.send('');
  t.strictSame((await message).map(String), ['', 'false']);
});

t.test('every kind of close passes both ways', async (t) => {
  for (const code of [1000, 1001, 1003, 1007, 1009, 1011, 1012, 1013, 3000, 4999, null]) {
    for (const side of ['client', 'upstream'] as const) {
      const pair = await openPair(t);
      const other = side === 'client' ? pair.upstream : pair.client;
      const closed = once(other, 'close');
      if (code === null) pair[side].close();
      else pair[side].close(code, 'why');
      const [received, reason] = await closed;
      t.strictSame([received, String(reason)], code === null ? [1005, ''] : [code, 'why']);
    }
  }
});

t.test('a socket that is cut without a close is cut at the other side', async (t) => {
  for (const side of ['client', 'upstream'] as const) {
    const pair = await openPair(t);
    const other = side === 'client' ? pair.upstream : pair.client;
    const closed = once(other, 'close');
    pair[side].terminate();
    t.equal((await closed)[0], 1006);
  }
});
