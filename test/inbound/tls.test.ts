import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import type { TLSSocket } from 'node:tls';
import t, { type Test } from 'tap';
import { monotonicClock } from '../../src/base/clock.ts';
import { Secret } from '../../src/base/secret.ts';
import { DescriptorWatch } from '../../src/inbound/descriptors.ts';
import { IdleConnections } from '../../src/inbound/idle-connections.ts';
import { limitIdleConnections } from '../../src/inbound/limits.ts';
import { PendingResponses } from '../../src/inbound/pending-responses.ts';
import { createHttpServer } from '../../src/inbound/server.ts';
import { ExchangeLog } from '../../src/telemetry/exchange-record.ts';
import { captureLog } from '../helpers/captured-log.ts';
import { Issued } from '../helpers/certificates.ts';
import { closeOf, readUntil } from '../helpers/exchange.ts';
import { dialTls } from '../helpers/tls-listener.ts';

/** A server with TLS, and nothing else; it counts the connections that wait for a request. */
async function start(
  t: Test,
  { handshakeMs = 60_000, idle = new IdleConnections(100, monotonicClock) } = {},
) {
  const { log, entries } = captureLog();
  const { cert, key } = new Issued({ names: ['IP:127.0.0.1'] });
  const app = createHttpServer({
    log,
    pendingResponses: new PendingResponses(),
    exchangeLog: new ExchangeLog(Date.now, monotonicClock),
    descriptors: new DescriptorWatch(null, monotonicClock, log),
    tls: { cert, key: new Secret(key), clientAuthorities: null },
    handshakeMs,
  });
  t.teardown(() => app.close());
  limitIdleConnections(app, idle);
  app.get('/', () => 'here');
  const port = Number(new URL(await app.listen({ host: '127.0.0.1', port: 0 })).port);
  const dial = () => dialTls(t, port, { ca: cert });
  return { app, port, idle, dial, entries };
}

t.test('who never comes to the end of a handshake is let go', async (t) => {
  const { port } = await start(t, { handshakeMs: 50 });
  for (const begin of ['', '\u0016\u0003\u0001', '\u0016\u0003\u0001\u0002\u0000\u0001']) {
    const client = connect(port, '127.0.0.1');
    client.write(begin, 'latin1');
    await closeOf(client);
  }
  t.pass('all of them');
});

t.test('who has come to its end is not', async (t) => {
  const { dial, app } = await start(t, { handshakeMs: 300 });
  const slow = connect((app.server.address() as { port: number }).port, '127.0.0.1');
  const client = dial();
  await once(client, 'secureConnect');
  // Began earlier, so the same time is over for both.
  await closeOf(slow);
  client.write('GET / HTTP/1.1\r\nhost: localhost\r\n\r\n');
  t.match(await readUntil(client, 'here'), /^HTTP\/1\.1 200/);
});

t.test('a connection counts once, from its beginning and through its handshake', async (t) => {
  const { app, port, idle, dial } = await start(t);
  const raw = connect(port, '127.0.0.1');
  await once(app.server, 'connection');
  t.equal(idle.size, 1, 'one in a handshake');
  const client = dial();
  await once(client, 'secureConnect');
  client.write('GET / HTTP/1.1\r\nhost: localhost\r\n\r\n');
  await readUntil(client, 'here');
  t.equal(idle.size, 2, 'and one after it');
  const closed = once(app.server, 'secureConnection').then(([one]) => one as TLSSocket);
  const other = dial();
  const there = closeOf(await closed);
  other.destroy();
  await there;
  t.equal(idle.size, 2, 'the third is gone');
  raw.destroy();
});

t.test('beyond the limit the oldest handshake goes first', async (t) => {
  let now = 0;
  const idle = new IdleConnections(1, () => now);
  const { app, port, dial } = await start(t, { idle });
  const raw: Socket = connect(port, '127.0.0.1');
  await once(app.server, 'connection');
  const closed = closeOf(raw);
  now = 5_000;
  const client = dial();
  await once(client, 'secureConnect');
  await closed;
  client.write('GET / HTTP/1.1\r\nhost: localhost\r\n\r\n');
  t.match(await readUntil(client, 'here'), /^HTTP\/1\.1 200/);
});

t.test('a handshake that fails is a line in the debug log, and no exchange', async (t) => {
  const { port, app, entries } = await start(t);
  const failed = once(app.server, 'tlsClientError');
  const client = connect(port, '127.0.0.1');
  client.write(Buffer.from([22, 3, 1, 0, 5, 1, 2, 3, 4, 5]));
  await Promise.all([failed, closeOf(client)]);
  t.match(entries().at(-1), { msg: 'a TLS handshake failed' });
});
