import { once } from 'node:events';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo, Socket } from 'node:net';
import t, { type Test } from 'tap';
import { relay } from '../../src/proxy/relay.ts';
import { openBody, ReplayBudget } from '../../src/proxy/request-body.ts';
import { ExchangeLog } from '../../src/telemetry/exchange-record.ts';
import { createDispatcher } from '../../src/upstream/dispatcher.ts';
import { send } from '../helpers/exchange.ts';
import { startUpstream } from '../helpers/upstream.ts';

/** A relay that lets the test act in the moment before an exchange begins. */
async function startRelay(t: Test, origin: string, before: () => void): Promise<string> {
  const dispatcher = createDispatcher({
    authorities: [],
    proxy: null,
    proxyEnvironment: { httpsProxy: null, noProxy: null },
  });
  const pass = async (request: IncomingMessage, response: ServerResponse) => {
    const { method = '', url = '' } = request;
    const kept = openBody(request, 1000, new ReplayBudget(0, 0), () => undefined);
    const body = kept?.content ?? null;
    const sent = { dispatcher, origin, path: url, method, headers: [], body, upgrade: false };
    before();
    const exchange = new ExchangeLog(Date.now, Date.now).begin(method, false);
    await relay(sent, response, exchange, {
      onHead: () => 'pass',
      onHeld: async () => 'pass',
      onPass: () => null,
      onUpgrade: () => undefined,
    });
  };
  const server = createServer((request, response) => {
    // From a timer, so that undici hears of the reset before it writes.
    setTimeout(() => {
      pass(request, response).catch(({ code }) => response.writeHead(502).end(code));
    });
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  t.teardown(async () => {
    server.closeAllConnections();
    server.close();
    await dispatcher.destroy();
  });
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
}

for (const [method, body] of [
  ['GET', undefined],
  ['POST', 'body'],
] as const) {
  t.test(`a ${method} that was not written yet takes a new connection`, async (t) => {
    const upstream = await startUpstream(t, (request, response) => request.pipe(response));
    const idle = () => upstream.requests.at(-1)?.socket as Socket | undefined;
    const url = await startRelay(t, upstream.origin, () => idle()?.resetAndDestroy());
    const headers = body === undefined ? {} : { 'transfer-encoding': 'chunked' };
    for (let i = 1; i <= 3; i++) {
      const answer = await send(url, { method, headers, ...(body === undefined ? {} : { body }) });
      t.match(answer, { status: 200, text: body ?? '' });
      t.equal(upstream.requests.length, i);
      t.equal(upstream.connections, i);
    }
  });

  t.test(`a ${method} that was written is not sent again`, async (t) => {
    const upstream = await startUpstream(t, (request, response) => {
      if (upstream.requests.length === 2) (request.socket as Socket).resetAndDestroy();
      else request.pipe(response);
    });
    const url = await startRelay(t, upstream.origin, () => undefined);
    const options = { method, ...(body === undefined ? {} : { body }) };
    t.equal((await send(url, options)).status, 200);
    t.match(await send(url, options), { status: 502, text: 'UPSTREAM_UNREACHABLE' });
    t.equal(upstream.requests[0]?.socket, upstream.requests[1]?.socket, 'on a kept connection');
    t.equal(upstream.requests.length, 2);
  });
}

t.test('a connection that cannot be made is tried twice at most', async (t) => {
  let connections = 0;
  const server = createServer().on('connection', (socket: Socket) => {
    connections++;
    socket.resetAndDestroy();
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  t.teardown(() => server.close());
  const origin = `https://127.0.0.1:${(server.address() as AddressInfo).port}`;
  const url = await startRelay(t, origin, () => undefined);
  t.match(await send(url), { status: 502, text: 'UPSTREAM_UNREACHABLE' });
  t.equal(connections, 2);
});
