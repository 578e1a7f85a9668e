import type { AddressInfo } from 'node:net';
import Fastify from 'fastify';
import t, { type Test } from 'tap';
import { IdleConnections } from '../../src/inbound/idle-connections.ts';
import { limitIdleConnections } from '../../src/inbound/limits.ts';
import { closeOf, dialTcp, readUntil } from '../helpers/exchange.ts';

/** Two connections may wait. What has `x-bad` is refused before it is admitted. */
async function start(t: Test) {
  let now = 0;
  const app = Fastify({ forceCloseConnections: true });
  const idle = new IdleConnections(2, () => now);
  app.addHook('onRequest', (request, reply, done) => {
    if (request.headers['x-bad'] === undefined) done();
    else reply.code(401).send('refused;');
  });
  limitIdleConnections(app, idle);
  const answers: (() => void)[] = [];
  for (const [url, config] of [
    ['/', {}],
    ['/brief', { brief: true }],
  ] as const) {
    app.get(url, { config }, (_request, reply) => {
      reply.raw.write('begun;');
      answers.push(() => reply.raw.end('ended;'));
      reply.hijack();
    });
  }
  await app.listen({ host: '127.0.0.1', port: 0 });
  t.teardown(() => app.close());
  const { port } = app.server.address() as AddressInfo;
  const dial = async () => {
    const before = idle.size;
    const client = await dialTcp(t, port);
    // The server may not have accepted it yet.
    while (idle.size === before && !client.destroyed) await new Promise(setImmediate);
    return client;
  };
  const pass = () => {
    now += 1_000;
  };
  return { dial, pass, idle, port, end: () => answers.shift()?.() };
}

const GET = 'GET / HTTP/1.1\r\nhost: x\r\n\r\n';

t.test('idle and refused connections push out each other, not one that is served', async (t) => {
  const { dial, pass, port, end } = await start(t);
  const served = await dial();
  served.write(GET);
  await readUntil(served, 'begun;');
  const refused = await dial();
  refused.write(GET.replace('host', 'x-bad: x\r\nhost'));
  await readUntil(refused, 'refused;');
  const slow = await dial();
  slow.write('GET / HTTP/1.1\r\n');
  const gone = [closeOf(refused)];
  pass();
  await dialTcp(t, port);
  await Promise.all(gone);
  end();
  await readUntil(served, 'ended;');
  t.notOk(slow.destroyed);
});

t.test('a connection that was served is idle again', async (t) => {
  const { dial, idle, end } = await start(t);
  const client = await dial();
  client.write(GET);
  await readUntil(client, 'begun;');
  t.equal(idle.size, 0);
  end();
  await readUntil(client, 'ended;');
  while (idle.size === 0) await new Promise(setImmediate);
  client.write(GET);
  await readUntil(client, 'begun;');
  t.equal(idle.size, 0);
});

t.test('a connection is served until its last answer has ended', async (t) => {
  const { dial, pass, idle, port, end } = await start(t);
  const client = await dial();
  client.write(GET.repeat(2));
  await readUntil(client, 'begun;');
  end();
  await readUntil(client, 'begun;');
  t.equal(idle.size, 0);
  const [oldest] = [await dial(), await dial()];
  pass();
  await dialTcp(t, port);
  await closeOf(oldest);
  end();
  await readUntil(client, 'ended;');
});

t.test('one that asks for what is brief goes on waiting, also when it never reads', async (t) => {
  const { dial, pass, idle, port } = await start(t);
  const client = await dial();
  client.write(GET.replace('/', '/brief').repeat(2));
  await readUntil(client, 'begun;');
  t.equal(idle.size, 1);
  await dial();
  pass();
  await dialTcp(t, port);
  await closeOf(client);
});
