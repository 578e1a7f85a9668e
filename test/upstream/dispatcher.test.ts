import type { LookupFunction } from 'node:net';
import t, { type Test } from 'tap';
import {
  createDispatcher,
  type DispatcherOptions,
  PATIENCE,
} from '../../src/upstream/dispatcher.ts';
import { upstreamError } from '../../src/upstream/transport-error.ts';
import { makeCertificate } from '../helpers/certificates.ts';
import { startConnectProxy } from '../helpers/connect-proxy.ts';
import { closeOf } from '../helpers/exchange.ts';
import { startTcpUpstream, startUpstream } from '../helpers/upstream.ts';

const NO_PROXIES = { httpsProxy: null, noProxy: null };
const DIRECT = { authorities: [], proxy: null, proxyEnvironment: NO_PROXIES };

function open(
  t: Test,
  patience = PATIENCE,
  options: DispatcherOptions = DIRECT,
  lookup?: LookupFunction,
) {
  const dispatcher = createDispatcher(options, patience, lookup);
  t.teardown(() => dispatcher.destroy());
  return {
    get: async (origin: string): Promise<string> => {
      const { body } = await dispatcher.request({ origin, path: '/', method: 'GET' });
      return body.text();
    },
  };
}

t.test('silence has no end', async (t) => {
  t.equal(PATIENCE.silenceMs, 0);
  const proxy = (await startConnectProxy(t)).url;
  const tls = await makeCertificate(t);
  const trusting = { ...DIRECT, authorities: [tls.cert] };
  const environment = { ...NO_PROXIES, httpsProxy: proxy };
  for (const [name, options] of [
    ['directly', trusting],
    ['through a proxy', { ...trusting, proxy }],
    ['through the environment', { ...trusting, proxy: 'env', proxyEnvironment: environment }],
  ] as const) {
    t.test(name, async (t) => {
      const upstream = await startUpstream(t, null, tls);
      // The impatient show that the setting arrives, and how long the patient have waited.
      for (const part of ['', 'a part of it, ']) {
        const patient = open(t, PATIENCE, options).get(upstream.origin);
        const { response } = await upstream.next();
        if (part) response.write(part);
        const impatient = open(t, { ...PATIENCE, silenceMs: 1 }, options).get(upstream.origin);
        const other = await upstream.next();
        if (part) other.response.write(part);
        await t.rejects(impatient, {
          code: part ? 'UND_ERR_BODY_TIMEOUT' : 'UND_ERR_HEADERS_TIMEOUT',
        });
        response.end('the answer');
        t.equal(await patient, `${part}the answer`);
      }
    });
  }
});

t.test('a connection has ten seconds', async (t) => {
  t.equal(PATIENCE.connectMs, 10_000);
  const impatient = { ...PATIENCE, connectMs: 50 };
  // It takes the connection, but neither a TLS handshake nor a CONNECT.
  const silent = await startTcpUpstream(t);
  for (const [what, options, origin] of [
    ['its TLS', DIRECT, silent.origin.replace('http', 'https')],
    ['a tunnel through a proxy', { ...DIRECT, proxy: silent.origin }, 'https://127.0.0.1:1'],
    [
      'the TLS of a proxy',
      { ...DIRECT, proxy: silent.origin.replace('http', 'https') },
      'https://127.0.0.1:1',
    ],
  ] as const) {
    t.test(what, async (t) => {
      const failure = open(t, impatient, options).get(origin);
      const socket = await silent.next();
      const closed = closeOf(socket);
      await t.rejects(failure);
      const error = upstreamError(await failure.catch((reason) => reason), origin);
      t.equal(error.code, 'UPSTREAM_TIMEOUT');
      await closed;
    });
  }
});

t.test('an address that refuses does not hide the next one', async (t) => {
  const upstream = await startUpstream(t, (_request, response) => response.end('reached'));
  const addresses = [
    { address: '::1', family: 6 },
    { address: '127.0.0.1', family: 4 },
  ];
  for (const order of [addresses, [...addresses].reverse()]) {
    const asked: string[] = [];
    const lookup: LookupFunction = (name, _options, done) => {
      asked.push(name);
      done(null, order);
    };
    const origin = `http://two-addresses.test:${upstream.port}`;
    t.equal(await open(t, PATIENCE, DIRECT, lookup).get(origin), 'reached');
    t.strictSame(asked, ['two-addresses.test']);
  }
});

t.test('the authority of upstream.caFile vouches for a proxy as well', async (t) => {
  const tls = await makeCertificate(t);
  const proxy = await startUpstream(t, null, tls);
  const failure = open(t, PATIENCE, { ...DIRECT, authorities: [tls.cert], proxy: proxy.origin });
  // An HTTPS server that knows no CONNECT hangs up; what matters is that it was asked.
  await t.rejects(failure.get('https://127.0.0.1:1'), { code: 'PROXY_HUNG_UP' });
  const untrusted = open(t, PATIENCE, { ...DIRECT, proxy: proxy.origin });
  await t.rejects(untrusted.get('https://127.0.0.1:1'), { code: 'DEPTH_ZERO_SELF_SIGNED_CERT' });
});

t.test('a proxy that hangs up is not dialled again', async (t) => {
  const proxy = await startTcpUpstream(t);
  const failure = open(t, PATIENCE, { ...DIRECT, proxy: proxy.origin }).get('https://127.0.0.1:1');
  const socket = await proxy.next();
  socket.once('data', () => socket.end());
  await t.rejects(failure, { code: 'PROXY_HUNG_UP' });
});

t.test("undici's own reading of the environment is off", async (t) => {
  const proxy = await startConnectProxy(t);
  const tls = await makeCertificate(t);
  const { HTTP_PROXY, HTTPS_PROXY, NO_PROXY } = process.env;
  t.teardown(() => {
    for (const [name, value] of Object.entries({ HTTP_PROXY, HTTPS_PROXY, NO_PROXY })) {
      if (value === undefined) delete process.env[name];
      else process.env[name] = value;
    }
  });
  const elsewhere = await startConnectProxy(t);
  Object.assign(process.env, { HTTP_PROXY: elsewhere.url, HTTPS_PROXY: elsewhere.url });
  process.env.NO_PROXY = '*';
  const { get } = open(t, PATIENCE, { ...DIRECT, authorities: [tls.cert], proxy: proxy.url });
  for (const given of [null, tls]) {
    const upstream = await startUpstream(t, (_request, response) => response.end('ok'), given);
    t.equal(await get(upstream.origin), 'ok');
    t.equal(proxy.tunnels.length, given ? 1 : 0);
  }
  t.equal(elsewhere.connections, 0);
});
