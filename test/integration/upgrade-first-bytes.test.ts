import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import t from 'tap';
import { closeOf, dialTcp, readUntil } from '../helpers/exchange.ts';
import { RESPONSES, startSidecarInFrontOf } from '../helpers/sidecar.ts';
import { untilStandstill, untilStatus } from '../helpers/until-status.ts';
import { startUpstream } from '../helpers/upstream.ts';
import { switchingText, upgradeText } from '../helpers/websocket.ts';

t.test('bytes in the packet of the handshake are not lost, on either side', async (t) => {
  const upstream = await startUpstream(t);
  const { port } = await startSidecarInFrontOf(t, upstream.origin);
  const client = await dialTcp(t, port);
  client.write(`${upgradeText(RESPONSES)}first of the client;`);
  const { request, socket } = await upstream.nextUpgrade();
  client.write('second of the client;');
  socket.write(`${switchingText(request)}first of the upstream;`);
  await readUntil(client, '\r\n\r\n');
  socket.write('second of the upstream;');
  t.equal(
    await readUntil(client, 'second of the upstream;'),
    'first of the upstream;second of the upstream;',
  );
  client.end('third of the client;');
  let received = '';
  socket.on('data', (chunk) => {
    received += chunk;
  });
  await once(socket, 'end');
  t.equal(received, 'first of the client;second of the client;third of the client;');
});

t.test('bytes that come while the upstream is dialled stay in order', async (t) => {
  const upstream = await startUpstream(t);
  const { url, port } = await startSidecarInFrontOf(t, upstream.origin);
  const client = await dialTcp(t, port);
  client.write(upgradeText(RESPONSES));
  const { request, socket } = await upstream.nextUpgrade();
  const early = randomBytes(50_000).toString('hex').slice(0, 60_000);
  for (let i = 0; i < early.length; i += 1000) client.write(early.slice(i, i + 1000));
  await untilStandstill(url, () => client.bytesWritten);
  socket.write(switchingText(request));
  client.end('late');
  let received = '';
  socket.on('data', (chunk) => {
    received += chunk;
  });
  await once(socket, 'end');
  t.ok(received === `${early}late`, 'all of it, once');
});

t.test('a client that sends on and on before the answer is cut off', async (t) => {
  const upstream = await startUpstream(t);
  const { url, port } = await startSidecarInFrontOf(t, upstream.origin);
  const client = await dialTcp(t, port);
  client.write(upgradeText(RESPONSES));
  const { socket } = await upstream.nextUpgrade();
  client.write(Buffer.alloc(1024 * 1024));
  await closeOf(socket);
  client.destroy();
  await untilStatus(url, ({ connections }) => connections.http === 0);
});
