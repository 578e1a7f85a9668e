import { once } from 'node:events';
import { syncBuiltinESMExports } from 'node:module';
import tls from 'node:tls';
import t, { type Test } from 'tap';
import { createDispatcher } from '../../src/upstream/dispatcher.ts';
import { makeCertificate } from '../helpers/certificates.ts';
import { startConnectProxy } from '../helpers/connect-proxy.ts';
import { startUpstream } from '../helpers/upstream.ts';

const NO_PROXIES = { httpsProxy: null, noProxy: null };

/** Counts the secure contexts that anybody in this process makes for a client. */
function countContexts(t: Test): { made: number } {
  const count = { made: 0 };
  const { createSecureContext } = tls;
  t.teardown(() => {
    tls.createSecureContext = createSecureContext;
    syncBuiltinESMExports();
  });
  tls.createSecureContext = (options) => {
    if (options?.key === undefined) count.made++;
    return createSecureContext(options);
  };
  syncBuiltinESMExports();
  return count;
}

for (const [what, isProxied, isOurs] of [
  ['of our authorities', false, true],
  ['of our authorities, through a proxy', true, true],
  ['without authorities of our own', false, false],
] as const) {
  t.test(`one secure context serves every connection: ${what}`, async (t) => {
    const certificate = await makeCertificate(t);
    const upstream = await startUpstream(t, null, certificate);
    const count = countContexts(t);
    const dispatcher = createDispatcher({
      authorities: isOurs ? [certificate.cert] : [],
      proxy: isProxied ? (await startConnectProxy(t)).url : null,
      proxyEnvironment: NO_PROXIES,
    });
    t.teardown(() => dispatcher.destroy());
    t.equal(count.made, 0, 'a start does not wait for it');
    const get = () => dispatcher.request({ origin: upstream.origin, path: '/', method: 'GET' });
    const sent = Array.from({ length: 5 }, get);
    if (!isOurs) {
      for (const request of sent) await t.rejects(request, { code: 'DEPTH_ZERO_SELF_SIGNED_CERT' });
    } else {
      const open = [];
      for (const _ of sent) open.push(await upstream.next());
      for (const { response } of open) response.end();
      for (const request of sent) await (await request).body.dump();
    }
    t.equal(upstream.connections, 5);
    t.equal(count.made, 1);
  });
}

t.test('plain http needs no secure context', async (t) => {
  const upstream = await startUpstream(t, (_request, response) => response.end());
  const count = countContexts(t);
  const dispatcher = createDispatcher({
    authorities: [],
    proxy: null,
    proxyEnvironment: NO_PROXIES,
  });
  t.teardown(() => dispatcher.destroy());
  const { body } = await dispatcher.request({ origin: upstream.origin, path: '/', method: 'GET' });
  await body.dump();
  t.equal(count.made, 0);
});

t.test('any 2xx opens a tunnel', async (t) => {
  const certificate = await makeCertificate(t);
  const upstream = await startUpstream(t, (_request, response) => response.end('ok'), certificate);
  const { createServer } = await import('node:http');
  const { connect } = await import('node:net');
  const proxy = createServer().on('connect', (_request, client) => {
    const server = connect(upstream.port, '127.0.0.1', () => {
      client.write('HTTP/1.1 204 Done\r\n\r\n');
      client.pipe(server).pipe(client);
    });
    for (const socket of [client, server]) socket.on('error', () => undefined);
  });
  proxy.listen(0, '127.0.0.1');
  await once(proxy, 'listening');
  t.teardown(() => proxy.close());
  const { port } = proxy.address() as { port: number };
  const dispatcher = createDispatcher({
    authorities: [certificate.cert],
    proxy: `http://127.0.0.1:${port}`,
    proxyEnvironment: NO_PROXIES,
  });
  t.teardown(() => dispatcher.destroy());
  const { body } = await dispatcher.request({ origin: upstream.origin, path: '/', method: 'GET' });
  t.equal(await body.text(), 'ok');
});
