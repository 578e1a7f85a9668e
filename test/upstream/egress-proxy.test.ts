import { once } from 'node:events';
import type { LookupFunction } from 'node:net';
import t, { type Test } from 'tap';
import { Secret } from '../../src/base/secret.ts';
import { CODEX_CLIENT_ID, refreshTokens } from '../../src/oauth/token-endpoint.ts';
import { createDispatcher, PATIENCE } from '../../src/upstream/dispatcher.ts';
import { proxyFor } from '../../src/upstream/egress-proxy.ts';
import { createHttpClient } from '../../src/upstream/http-client.ts';
import { startConnectProxy } from '../helpers/connect-proxy.ts';
import { startTcpUpstream, type TcpUpstream } from '../helpers/upstream.ts';

const NO_PROXIES = { httpsProxy: null, noProxy: null };
const env = (proxies: object) => ({
  proxy: 'env',
  proxyEnvironment: { ...NO_PROXIES, ...proxies },
});
const P = 'http://p:1/';
const PROXIES: [url: string, settings: Parameters<typeof proxyFor>[1], proxy: string | null][] = [
  ['https://a.b', { proxy: null, proxyEnvironment: { ...NO_PROXIES, httpsProxy: P } }, null],
  ['https://a.b', { proxy: P, proxyEnvironment: NO_PROXIES }, P],
  ['https://a.b', env({ httpsProxy: P }), P],
  ['https://a.b', env({ httpsProxy: 'p:1' }), P],
  ['http://localhost', env({ httpsProxy: P }), null],
  ['http://localhost', { proxy: P, proxyEnvironment: NO_PROXIES }, null],
  ['https://a.b', env({ httpsProxy: P, noProxy: '*' }), null],
  ['https://a.b', env({ httpsProxy: P, noProxy: 'x, a.b' }), null],
  ['https://a.b', env({ httpsProxy: P, noProxy: '.b' }), null],
  ['https://a.b', env({ httpsProxy: P, noProxy: 'B' }), null],
  ['https://a.b', env({ httpsProxy: P, noProxy: '*.b' }), null],
  ['https://a.b', env({ httpsProxy: P, noProxy: '.a.b' }), null],
  ['https://ab', env({ httpsProxy: P, noProxy: 'b' }), P],
  ['https://a.b', env({ httpsProxy: P, noProxy: 'a.b:443' }), null],
  ['https://a.b', env({ httpsProxy: P, noProxy: 'a.b:8443' }), P],
];

for (const [url, settings, proxy] of PROXIES) {
  t.test(`the proxy for ${url} under ${JSON.stringify(settings)}`, async (t) => {
    t.equal(proxyFor(new URL(url), settings)?.href ?? null, proxy);
  });
}

const LISTS = ['', '*', '*, x', 'x a.b', '.b', 'B', '*.b', 'b.', 'a.b:443', 'a.b:8443', 'a.b:0'];

t.test('it is the proxy that is dialled', async (t) => {
  // No name is resolved here: a direct connection fails at once, and a tunnel is refused.
  const noNames: LookupFunction = (_name, _options, done) => done(new Error('no names'), []);
  const proxy = await startConnectProxy(t, 407);
  const urls = ['https://a.b', 'https://a.b:8443', 'https://ab', 'https://[::1]:1', 'http://a.b'];
  for (const noProxy of [...LISTS, '[::1]', '::1', '[::1]:1']) {
    const settings = env({ httpsProxy: proxy.url, noProxy });
    const dispatcher = createDispatcher({ authorities: [], ...settings }, PATIENCE, noNames);
    t.teardown(() => dispatcher.destroy());
    for (const url of urls) {
      const before = proxy.tunnels.length;
      await t.rejects(dispatcher.request({ origin: url, path: '/', method: 'GET' }));
      const isProxied = proxyFor(new URL(url), settings) !== null;
      t.equal(proxy.tunnels.length - before, isProxied ? 1 : 0, `${url} with NO_PROXY=${noProxy}`);
    }
  }
});

/** The failure of a refresh through `proxy`. */
async function refreshThrough(t: Test, proxy: string, patience = PATIENCE) {
  const dispatcher = createDispatcher(
    { authorities: [], proxy, proxyEnvironment: NO_PROXIES },
    patience,
  );
  t.teardown(() => dispatcher.destroy());
  const endpoints = {
    tokenUrl: 'https://127.0.0.1:1/oauth/token',
    revokeUrl: 'https://127.0.0.1:1/oauth/revoke',
    clientId: CODEX_CLIENT_ID,
    http: createHttpClient(dispatcher, 'codex-auth-sidecar/test'),
  };
  return refreshTokens(endpoints, new Secret('refresh-1')).catch((error: unknown) => error);
}

async function closeThree(proxy: TcpUpstream, how: 'destroy' | 'resetAndDestroy'): Promise<void> {
  for (let attempt = 0; attempt < 3; attempt++) {
    const socket = await proxy.next();
    await once(socket, 'data');
    socket[how]();
  }
}

for (const how of ['destroy', 'resetAndDestroy'] as const) {
  t.test(`a refresh whose tunnel ends with ${how} was never sent, and is repeated`, async (t) => {
    const proxy = await startTcpUpstream(t);
    const [failure] = await Promise.all([refreshThrough(t, proxy.origin), closeThree(proxy, how)]);
    t.match(failure, { kind: 'unsent', cause: { code: 'PROXY_HUNG_UP' } });
  });
}

t.test('a refresh whose tunnel is refused was never sent, and is repeated', async (t) => {
  const proxy = await startConnectProxy(t, 502);
  const failure = await refreshThrough(t, proxy.url);
  t.match(failure, { kind: 'unsent', cause: { code: 'PROXY_REFUSED' } });
  t.equal(proxy.tunnels.length, 3);
});

t.test('a refresh whose tunnel is not answered was never sent, and is repeated', async (t) => {
  const proxy = await startTcpUpstream(t);
  const impatient = { ...PATIENCE, connectMs: 200 };
  const failure = await refreshThrough(t, proxy.origin, impatient);
  t.match(failure, { kind: 'unsent', cause: { code: 'PROXY_TIMEOUT' } });
  for (let attempt = 0; attempt < 3; attempt++) t.ok(await proxy.next());
});
