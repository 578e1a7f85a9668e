import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import t, { type Test } from 'tap';
import { relay } from '../../src/proxy/relay.ts';
import type { RelayEvents } from '../../src/proxy/relay-events.ts';
import { ExchangeLog } from '../../src/telemetry/exchange-record.ts';
import { createDispatcher } from '../../src/upstream/dispatcher.ts';
import { send } from '../helpers/exchange.ts';
import { type HttpUpstream, startUpstream } from '../helpers/upstream.ts';

interface Stage {
  url: string;
  /** What the relay asked and told, in order. */
  calls: string[];
}

/** A server that relays every request, and asks `decide` what to do with each response. */
async function startRelay(
  t: Test,
  upstream: HttpUpstream,
  decide: { head: 'pass' | 'hold'; held?: 'pass' | 'drop' },
): Promise<Stage> {
  const dispatcher = createDispatcher({
    authorities: [],
    proxy: null,
    proxyEnvironment: { httpsProxy: null, noProxy: null },
  });
  const calls: string[] = [];
  const events: RelayEvents = {
    onHead: ({ status }) => {
      calls.push(`head ${status}`);
      return decide.head;
    },
    onHeld: async ({ body }) => {
      calls.push(`held ${body}`);
      return decide.held ?? 'pass';
    },
    onPass: () => null,
    onUpgrade: () => calls.push('upgrade'),
  };
  const server = createServer((request, response) => {
    const { origin } = upstream;
    const { method = '', url = '' } = request;
    const sent = { dispatcher, origin, path: url, method, headers: [], body: null, upgrade: false };
    const exchange = new ExchangeLog(Date.now, Date.now).begin(method, false);
    void relay(sent, response, exchange, events).then((outcome) => {
      calls.push(outcome);
      if (outcome === 'dropped') response.writeHead(299).end('dropped');
    });
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  t.teardown(async () => {
    server.closeAllConnections();
    server.close();
    await dispatcher.destroy();
  });
  return { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, calls };
}

t.test('one question for each response, whatever becomes of it', async (t) => {
  const upstream = await startUpstream(t, (request, response) => {
    response.writeHead(401).end(request.url === '/large' ? 'x'.repeat(70_000) : 'no');
  });
  const passed = await startRelay(t, upstream, { head: 'pass' });
  t.match(await send(passed.url), { status: 401, text: 'no' });
  t.strictSame(passed.calls, ['head 401', 'answered']);

  const held = await startRelay(t, upstream, { head: 'hold' });
  t.match(await send(held.url), { status: 401, text: 'no' });
  t.strictSame(held.calls, ['head 401', 'held no', 'answered']);

  const outgrown = await startRelay(t, upstream, { head: 'hold' });
  t.match(await send(`${outgrown.url}/large`), { status: 401, text: 'x'.repeat(70_000) });
  t.strictSame(outgrown.calls, ['head 401', 'answered']);

  const dropped = await startRelay(t, upstream, { head: 'hold', held: 'drop' });
  t.match(await send(dropped.url), { status: 299, text: 'dropped' });
  t.strictSame(dropped.calls, ['head 401', 'held no', 'dropped']);
});
