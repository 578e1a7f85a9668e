import { once } from 'node:events';
import type { Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import t, { type Test } from 'tap';
import { closeOf, dialTcp, readAll, readUntil, send } from '../helpers/exchange.ts';
import { RESPONSES, startSidecarInFrontOf, type TestSidecar } from '../helpers/sidecar.ts';
import { untilStatus } from '../helpers/until-status.ts';
import { startUpstream } from '../helpers/upstream.ts';
import { switchingText, upgradeText } from '../helpers/websocket.ts';

interface Tunnel extends TestSidecar {
  client: Socket;
  upstream: Duplex;
}

async function openTunnel(t: Test): Promise<Tunnel> {
  const server = await startUpstream(t);
  const sidecar = await startSidecarInFrontOf(t, server.origin);
  const client = await dialTcp(t, sidecar.port);
  client.write(upgradeText(RESPONSES));
  const { request, socket } = await server.nextUpgrade();
  socket.write(switchingText(request));
  await readUntil(client, '\r\n\r\n');
  return { ...sidecar, client, upstream: socket };
}

const nothingOpen = (url: string) =>
  untilStatus(url, ({ connections }) => connections.http + connections.websocket === 0);

t.test('a client that has said all may still listen', async (t) => {
  const { url, client, upstream } = await openTunnel(t);
  client.end('last words');
  t.equal(String(await readAll(upstream)), 'last words');
  t.equal((await send(`${url}/livez`)).status, 200);
  upstream.end('and the answer');
  t.equal(String(await readAll(client)), 'and the answer');
  await nothingOpen(url);
});

t.test('an upstream that ends is ended for the client, after its last bytes', async (t) => {
  const { url, client, upstream } = await openTunnel(t);
  const bytes = Buffer.alloc(4 * 1024 * 1024, 'x');
  upstream.end(bytes);
  t.equal((await readAll(client)).length, bytes.length);
  client.end();
  await closeOf(upstream);
  await nothingOpen(url);
});

t.test('a client that resets takes the upstream with it', async (t) => {
  const { url, client, upstream } = await openTunnel(t);
  client.resetAndDestroy();
  await closeOf(upstream);
  await nothingOpen(url);
});

t.test('an upstream that resets takes the client with it', async (t) => {
  const { url, client, upstream } = await openTunnel(t);
  (upstream as Socket).resetAndDestroy();
  client.once('end', () => client.end());
  await closeOf(client);
  await nothingOpen(url);
});

t.test('a client that hangs up while the upstream is dialled takes it along', async (t) => {
  for (const leave of ['end', 'destroy', 'resetAndDestroy'] as const) {
    const server = await startUpstream(t);
    const { url, port } = await startSidecarInFrontOf(t, server.origin);
    const client = await dialTcp(t, port);
    client.write(upgradeText(RESPONSES));
    const { socket } = await server.nextUpgrade();
    client[leave]();
    await closeOf(socket);
    await nothingOpen(url);
  }
});

t.test('stop() cuts a WebSocket that outlives the drain', async (t) => {
  const { sidecar, client, upstream } = await openTunnel(t);
  const closed = [closeOf(upstream), once(client.resume(), 'close')];
  await sidecar.stop();
  client.end();
  await Promise.all(closed);
});
