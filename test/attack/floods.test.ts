import { connect, type Socket } from 'node:net';
import t, { type Test } from 'tap';
import { closeOf, localError, parseResponse, readAll, send } from '../helpers/exchange.ts';
import { MODELS, RESPONSES, startSidecarInFrontOf } from '../helpers/sidecar.ts';
import { readStatus, untilStandstill, untilStatus } from '../helpers/until-status.ts';
import { startUpstream } from '../helpers/upstream.ts';
import { upgradeText } from '../helpers/websocket.ts';
import { startGuardedSidecar, TOKEN } from './guarded-sidecar.ts';

const MANY = 100;
const GIVEN = { 'x-sidecar-token': TOKEN };

function many(dial: () => Socket, text: string): Socket[] {
  return Array.from({ length: MANY }, () => {
    const socket = dial();
    socket.write(text, 'latin1');
    return socket;
  });
}

/** Another client has its request answered by the upstream. */
async function served(t: Test, url: string): Promise<void> {
  const answer = await send(url + MODELS, { headers: GIVEN });
  t.equal(answer.status, 200);
}

const HALVES: [string, string][] = [
  ['say nothing', ''],
  ['never end their headers', `GET ${MODELS} HTTP/1.1\r\nhost: localhost\r\nx: `],
  [
    'never end a body that is refused',
    `POST ${RESPONSES} HTTP/1.1\r\nhost: localhost\r\ncontent-length: 9\r\n\r\nx`,
  ],
  ['ask with a wrong token and stay', `GET ${MODELS} HTTP/1.1\r\nhost: localhost\r\n\r\n`],
];

for (const [what, text] of HALVES) {
  t.test(`${MANY} connections that ${what} keep nobody from being served`, async (t) => {
    const { dial, url, seen } = await startGuardedSidecar(t);
    const flood = many(dial, text);
    await served(t, url);
    t.equal(seen.length, 1, 'nothing of it reaches the upstream');
    await Promise.all(
      flood.map((socket) => {
        const closed = closeOf(socket);
        socket.resetAndDestroy();
        return closed;
      }),
    );
    await served(t, url);
  });
}

t.test('clients that never end their bodies are let go when they hang up', async (t) => {
  const { dial, url, seen } = await startGuardedSidecar(t);
  const head = `POST ${RESPONSES} HTTP/1.1\r\nhost: localhost\r\nx-sidecar-token: ${TOKEN}\r\n`;
  const flood = many(dial, `${head}content-length: 9\r\n\r\nx`);
  await untilStatus(url, ({ connections }) => connections.http === MANY);
  await served(t, url);
  for (const socket of flood) socket.destroy();
  await untilStatus(url, ({ connections }) => connections.http === 0);
  t.equal(seen.filter(({ complete }) => complete).length, 1);
});

t.test('upgrades that the upstream leaves open are let go when they hang up', async (t) => {
  const upstream = await startUpstream(t);
  const { url, port } = await startSidecarInFrontOf(t, upstream.origin);
  const flood = many(
    () => connect(port, '127.0.0.1').on('error', () => undefined),
    upgradeText(RESPONSES),
  );
  await untilStatus(url, ({ connections }) => connections.http === MANY);
  t.equal((await send(`${url}/livez`)).status, 200);
  for (const socket of flood) socket.destroy();
  await untilStatus(url, ({ connections }) => connections.http === 0);
  t.equal((await readStatus(url)).connections.websocket, 0);
});

t.test('a client that never reads is not read any further', async (t) => {
  const { dial, url } = await startGuardedSidecar(t);
  const client = dial();
  const requests = Buffer.from('GET /livez HTTP/1.1\r\nhost: localhost\r\n\r\n'.repeat(5_000));
  let written = 0;
  const go = () => {
    for (;;) {
      written += requests.length;
      if (!client.write(requests)) break;
    }
  };
  client.on('drain', go);
  client.pause();
  go();
  const before = await untilStandstill(url, () => client.bytesWritten - client.writableLength);
  t.ok(before < written);
  await served(t, url);
  client.destroy();
});

t.test('headers that do not come in time are an error, and the end', async (t) => {
  const { dial, sidecar } = await startGuardedSidecar(t);
  const { server } = sidecar.app;
  t.equal(server.headersTimeout, 30_000);
  t.equal(server.requestTimeout, 0, 'a long upload has its time');
  // The server looks after it every five seconds.
  server.headersTimeout = 1;
  const client = dial();
  client.write('GET / HTTP/1.1\r\nx: ');
  const answer = parseResponse(String(await readAll(client)));
  localError(t, answer, 400, 'AUTH_REQUEST_INVALID');
  t.match(answer.text, 'did not come within');
});
