import { once } from 'node:events';
import t from 'tap';
import { WebSocket } from 'ws';
import { openPair } from '../helpers/websocket.ts';

t.jobs = 2;

for (const deflate of [false, true]) {
  const how = deflate ? ', with permessage-deflate' : '';
  t.test(`an idle WebSocket gets 1001, one in a turn when that is over${how}`, async (t) => {
    const limits = { drainSeconds: 60 };
    const { client, upstream, sidecar } = await openPair(t, deflate, { limits });
    const question = once(upstream, 'message');
    client.send('x'.repeat(300));
    await question;
    let open = true;
    const closed = [once(client, 'close'), once(upstream, 'close')];
    client.once('close', () => {
      open = false;
    });
    const stopped = sidecar.stop();
    // Idle from the start: told as soon as the silence has lasted.
    const other = await openPair(t, deflate, { limits });
    const otherClosed = [once(other.client, 'close'), once(other.upstream, 'close')];
    const otherStopped = other.sidecar.stop();
    for (const close of otherClosed) t.equal((await close)[0], 1001);
    await otherStopped;
    t.ok(open, 'this one is in a turn all the while');
    const answer = once(client, 'message');
    upstream.send('y'.repeat(300));
    t.equal(String((await answer)[0]), 'y'.repeat(300));
    for (const close of closed) t.equal((await close)[0], 1001);
    await stopped;
  });
}

t.test('at the end of the drain a turn gets 1001 as well', async (t) => {
  const { client, upstream, sidecar } = await openPair(t);
  const question = once(upstream, 'message');
  client.send('question');
  await question;
  upstream.send('half an answer', { fin: false });
  const closed = [once(client, 'close'), once(upstream, 'close')];
  await sidecar.stop();
  for (const close of closed) t.equal((await close)[0], 1001);
});

t.test('a client that does not answer cannot keep it from ending', async (t) => {
  const { client, sidecar, url } = await openPair(t);
  // Reads nothing, so that it never learns of the close frame.
  client.pause();
  await sidecar.stop();
  await t.rejects(once(new WebSocket(url.replace('http', 'ws')), 'open'), { code: 'ECONNREFUSED' });
});
