import { EventEmitter, once } from 'node:events';
import type { AddressInfo, Socket } from 'node:net';
import { createServer, type TLSSocket } from 'node:tls';
import t, { type Test } from 'tap';
import { createConnector } from '../../src/upstream/connector.ts';
import { ReadyConnections } from '../../src/upstream/ready-connections.ts';
import { makeCertificate } from '../helpers/certificates.ts';
import { FakeTime } from '../helpers/fake-time.ts';

const FOR_MS = 300_000;

/** A TLS upstream that counts handshakes, and the ready connections to it. */
async function situate(t: Test, count = 1) {
  const { key, cert } = await makeCertificate(t);
  const accepted: TLSSocket[] = [];
  const changes = new EventEmitter();
  const server = createServer({ key, cert }, (socket) => {
    accepted.push(socket);
    socket.on('error', () => undefined).on('close', () => changes.emit('change'));
    socket.resume();
    changes.emit('change');
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  const time = new FakeTime();
  const options = { authorities: [cert], proxy: null };
  const proxyEnvironment = { httpsProxy: null, noProxy: null };
  const connector = createConnector({ ...options, proxyEnvironment }, { connectMs: 5_000 });
  const origin = `https://127.0.0.1:${port}`;
  const ready = new ReadyConnections(
    connector.connect,
    { origins: [origin], count, forMs: FOR_MS },
    time.monotonicNow,
    time.schedule,
  );
  t.teardown(() => {
    ready.close();
    for (const socket of accepted) socket.destroy();
    server.close();
  });
  const target = { protocol: 'https:', host: `127.0.0.1:${port}`, hostname: '127.0.0.1' };
  const open = () => accepted.filter(({ destroyed }) => !destroyed).length;
  return {
    time,
    accepted,
    ready,
    origin,
    open,
    /** Takes a connection as undici does for a request. */
    take: () =>
      new Promise<Socket>((resolve, reject) => {
        ready.used(origin);
        ready.connect({ ...target, port: String(port), servername: '' }, (error, socket) => {
          if (!socket) return reject(error);
          t.teardown(() => socket.destroy());
          resolve(socket);
        });
      }),
    /** Resolves when the upstream has seen so many handshakes, and so many are open. */
    sees: async (handshakes: number, openNow: number) => {
      while (accepted.length < handshakes || open() !== openNow) await once(changes, 'change');
      t.equal(accepted.length, handshakes);
    },
  };
}

/** Lets what has been dialled arrive on this side too. */
const turn = () => new Promise((resolve) => setImmediate(resolve));

t.test('none while nobody asks', async (t) => {
  const { accepted, ready, origin } = await situate(t);
  ready.used(origin);
  await turn();
  t.equal(accepted.length, 0);
});

t.test('one stands ready after a request, and one that is taken is replaced', async (t) => {
  const { take, sees, accepted } = await situate(t);
  await take();
  await sees(2, 2);
  const second = await take();
  t.equal(second.localPort, accepted[1]?.remotePort, 'the one that was ready');
  await sees(3, 3);
});

t.test('never more than are wanted', async (t) => {
  const { take, sees } = await situate(t, 2);
  await take();
  await sees(3, 3);
  await Promise.all([take(), take()]);
  await sees(5, 5);
});

t.test(
  'one that the upstream closes is replaced, less often where it closes at once',
  async (t) => {
    const { take, sees, accepted, time } = await situate(t);
    await take();
    await sees(2, 2);
    await turn();
    time.advance(20_000);
    accepted[1]?.end();
    await sees(3, 2);
    for (const [closed, pause] of [
      [2, 1_000],
      [3, 2_000],
      [4, 4_000],
    ] as const) {
      await turn();
      const timers = time.delays.length;
      accepted[closed]?.end();
      while (time.delays.length === timers) await turn();
      t.ok(time.delays.includes(pause), `a pause of ${pause} ms`);
      time.advance(pause);
      await sees(closed + 2, 2);
    }
  },
);

t.test('they are closed when there have been no requests for a while', async (t) => {
  const { take, sees, time, ready, origin } = await situate(t);
  await take();
  await sees(2, 2);
  await turn();
  time.advance(FOR_MS - 1);
  ready.used(origin);
  time.advance(FOR_MS - 1);
  await turn();
  await sees(2, 2);
  time.advance(1);
  await sees(2, 1);
  ready.used(origin);
  await sees(3, 2);
});

t.test('one that was closed unseen is not handed out', async (t) => {
  const { take, sees, accepted, open } = await situate(t);
  await take();
  await sees(2, 2);
  await turn();
  accepted[1]?.destroy();
  const next = await take();
  t.not(next.localPort, accepted[1]?.remotePort);
  t.notOk(next.destroyed);
  t.ok(open() >= 1);
});

t.test('nothing is left after the end', async (t) => {
  const { take, sees, ready } = await situate(t);
  const taken = await take();
  await sees(2, 2);
  await turn();
  ready.close();
  taken.destroy();
  await sees(2, 0);
});
