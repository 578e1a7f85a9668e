import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import t from 'tap';
import { WebSocket } from 'ws';
import { RESPONSES, startSidecarWithEmulator } from '../helpers/sidecar.ts';
import { openPair } from '../helpers/websocket.ts';

for (const deflate of [false, true]) {
  const how = deflate ? 'with permessage-deflate' : 'uncompressed';

  t.test(`large and fragmented messages pass both ways, ${how}`, async (t) => {
    const { client, upstream, extensions } = await openPair(t, deflate);
    t.equal(extensions, deflate ? 'permessage-deflate' : '');
    for (const [from, to] of [
      [client, upstream],
      [upstream, client],
    ] as const) {
      const large = randomBytes(512 * 1024).toString('hex');
      const whole = once(to, 'message');
      from.send(large);
      t.ok(String((await whole)[0]) === large, '1 MiB of text');
      const joined = once(to, 'message');
      for (const part of ['one ', 'two ']) from.send(part, { fin: false });
      from.send('three', { fin: true });
      t.equal(String((await joined)[0]), 'one two three');
      const binary = once(to, 'message');
      from.send(Buffer.from([0, 1, 2, 255]));
      const [data, isBinary] = await binary;
      t.strictSame([data, isBinary], [Buffer.from([0, 1, 2, 255]), true]);
    }
  });
}

t.test('compression is end to end', async (t) => {
  const { client, upstream, wire } = await openPair(t, true);
  const before = wire.bytesRead;
  const message = once(upstream, 'message');
  client.send('x'.repeat(1024 * 1024));
  t.equal(String((await message)[0]).length, 1024 * 1024);
  t.ok(wire.bytesRead - before < 64 * 1024, 'still compressed on the wire of the upstream');
});

t.test('ping and pong pass both ways', async (t) => {
  const { client, upstream } = await openPair(t);
  for (const [from, to] of [
    [client, upstream],
    [upstream, client],
  ] as const) {
    const [ping, pong] = [once(to, 'ping'), once(from, 'pong')];
    from.ping('payload');
    t.equal(String((await ping)[0]), 'payload');
    t.equal(String((await pong)[0]), 'payload');
  }
});

t.test('close codes and reasons pass both ways', async (t) => {
  for (const code of [1000, 1008, 4321]) {
    for (const side of ['client', 'upstream'] as const) {
      const pair = await openPair(t);
      const other = side === 'client' ? pair.upstream : pair.client;
      const closed = once(other, 'close');
      const own = once(pair[side], 'close');
      pair[side].close(code, 'reason');
      t.strictSame((await closed).map(String), [String(code), 'reason']);
      t.equal((await own)[0], code);
    }
  }
});

t.test('turns over one socket through the emulated backend', async (t) => {
  const { url, emulator } = await startSidecarWithEmulator(t);
  const client = new WebSocket(url.replace('http', 'ws') + RESPONSES);
  await once(client, 'open');
  for (let turn = 1; turn <= 2; turn++) {
    const types: string[] = [];
    client.send(JSON.stringify({ type: 'response.create', model: 'gpt-test', input: [] }));
    while (types.at(-1) !== 'response.completed') {
      const [data] = await once(client, 'message');
      types.push(JSON.parse(String(data)).type);
    }
    t.equal(types[0], 'response.created');
  }
  client.close();
  const record = await emulator.waitFor(({ transport, complete }) => {
    return transport === 'websocket' && complete;
  });
  t.equal(record.frames.length, 2);
  t.equal(record.auth.verified, true);
});
