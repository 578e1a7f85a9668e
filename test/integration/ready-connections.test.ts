import { once } from 'node:events';
import { createServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import type { TLSSocket } from 'node:tls';
import t, { type Test } from 'tap';
import { makeCertificate } from '../helpers/certificates.ts';
import { send } from '../helpers/exchange.ts';
import { MODELS, RESPONSES, startSidecarInFrontOf } from '../helpers/sidecar.ts';
import { tryUpgrade } from '../helpers/websocket.ts';

/** A TLS upstream that counts its connections, and says on which one each request came. */
async function situate(t: Test, upstream: object = {}) {
  const { key, cert, path: caFile } = await makeCertificate(t);
  const accepted: unknown[] = [];
  const used: unknown[] = [];
  const server = createServer({ key, cert, keepAlive: true }, (request, response) => {
    used.push(request.socket);
    response.end('ok');
  });
  server.on('secureConnection', (socket: TLSSocket) => accepted.push(socket));
  server.on('upgrade', (request, socket) => {
    used.push(request.socket);
    socket.end('HTTP/1.1 426 Upgrade Required\r\ncontent-length: 0\r\n\r\n');
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  t.teardown(() => {
    server.closeAllConnections();
    server.close();
  });
  const origin = `https://127.0.0.1:${(server.address() as AddressInfo).port}`;
  const config = { upstream: { caFile, ...upstream } };
  const { url } = await startSidecarInFrontOf(t, origin, { config });
  const sees = async (connections: number) => {
    while (accepted.length < connections) await once(server, 'secureConnection');
    t.equal(accepted.length, connections);
  };
  return { url, accepted, used, sees, server };
}

t.test('an upgrade, and the request after it, take connections that are there', async (t) => {
  const { url, accepted, used, sees } = await situate(t);
  t.equal((await send(url + MODELS)).status, 200);
  await sees(2);
  t.equal((await tryUpgrade(url + RESPONSES)).status, 426);
  t.ok(accepted.slice(0, 2).includes(used[1]), 'dialled before the upgrade came');
  t.equal((await send(url + MODELS)).status, 200);
  t.ok(accepted.slice(0, 2).includes(used[2]), 'the other one of the two');
  t.not(used[1], used[2]);
  await sees(3);
});

t.test('a request after the upstream has closed its connection finds one ready', async (t) => {
  const { url, accepted, used, sees } = await situate(t);
  t.equal((await send(url + MODELS)).status, 200);
  await sees(2);
  const [first] = accepted as TLSSocket[];
  t.equal(used[0], first);
  first?.end();
  if (first && !first.destroyed) await once(first, 'close');
  t.equal((await send(url + MODELS)).status, 200);
  t.equal(used[1], accepted[1]);
});

t.test('none with readyConnections: 0', async (t) => {
  const { url, accepted } = await situate(t, { readyConnections: 0 });
  for (let i = 0; i < 3; i++) t.equal((await send(url + MODELS)).status, 200);
  t.equal(accepted.length, 1);
});
