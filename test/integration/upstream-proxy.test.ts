import t, { type Test } from 'tap';
import { makeCertificate } from '../helpers/certificates.ts';
import { startConnectProxy } from '../helpers/connect-proxy.ts';
import { localError, send } from '../helpers/exchange.ts';
import {
  MODELS,
  RESPONSES,
  type SidecarOptions,
  startSidecarInFrontOf,
} from '../helpers/sidecar.ts';
import { closedPort, type HttpUpstream, startUpstream, wireHeaders } from '../helpers/upstream.ts';
import { tryUpgrade } from '../helpers/websocket.ts';

const TLS = await makeCertificate(t);
const caFile = TLS.path;

/** One request and one upgrade to `upstream` that answers both. */
async function bothWays(t: Test, upstream: HttpUpstream, options: SidecarOptions): Promise<void> {
  const { url } = await startSidecarInFrontOf(t, upstream.origin, options);
  t.equal((await send(url + MODELS)).text, 'ok');
  const dialling = tryUpgrade(url + RESPONSES);
  const { socket } = await upstream.nextUpgrade();
  socket.end('HTTP/1.1 426 Upgrade Required\r\ncontent-length: 0\r\n\r\n');
  t.equal((await dialling).status, 426);
}

const answering = (t: Test, tls: { key: string; cert: string } | null = TLS) =>
  startUpstream(t, (_request, response) => response.end('ok'), tls);

for (const name of ['upstream.proxy', 'https_proxy', 'HTTPS_PROXY'] as const) {
  t.test(`${name} is used for requests and upgrades, with the certificate checked`, async (t) => {
    const proxy = await startConnectProxy(t);
    const upstream = await answering(t);
    const given = name === 'upstream.proxy' ? proxy.url : 'env';
    const env = { [name]: proxy.url };
    await bothWays(t, upstream, { env, config: { upstream: { proxy: given, caFile } } });
    t.strictSame(new Set(proxy.tunnels), new Set([`127.0.0.1:${upstream.port}`]));
    t.equal(proxy.tunnels.length, upstream.connections, 'nothing went past it');
    t.strictSame(proxy.requests, []);
    const seen = upstream.requests.length;
    const { url } = await startSidecarInFrontOf(t, upstream.origin, {
      env,
      config: { upstream: { proxy: given } },
    });
    localError(t, await send(url + MODELS), 502, 'UPSTREAM_TLS');
    localError(t, await tryUpgrade(url + RESPONSES), 502, 'UPSTREAM_TLS');
    t.equal(upstream.requests.length, seen);
  });
}

t.test('an upstream with plain http is dialled directly, whatever is set', async (t) => {
  for (const [name, variables] of [
    ['upstream.proxy', []],
    ['env', ['HTTP_PROXY', 'HTTPS_PROXY']],
    ['env', ['http_proxy', 'https_proxy']],
  ] as const) {
    const proxy = await startConnectProxy(t);
    const given = name === 'env' ? name : proxy.url;
    const env = Object.fromEntries(variables.map((variable) => [variable, proxy.url]));
    await bothWays(t, await answering(t, null), { env, config: { upstream: { proxy: given } } });
    t.equal(proxy.connections, 0, [name, ...variables].join(' '));
  }
});

t.test('HTTP_PROXY is for nothing, also where it is no URL', async (t) => {
  const proxy = await startConnectProxy(t);
  for (const HTTP_PROXY of [proxy.url, 'socks5://proxy']) {
    const config = { upstream: { proxy: 'env', caFile } };
    await bothWays(t, await answering(t), { env: { HTTP_PROXY }, config });
  }
  t.equal(proxy.connections, 0);
});

t.test('the certificate of another host behind the proxy is refused as such', async (t) => {
  const proxy = await startConnectProxy(t);
  const tls = await makeCertificate(t, { name: 'DNS:elsewhere.example' });
  const upstream = await answering(t, tls);
  const { url } = await startSidecarInFrontOf(t, upstream.origin, {
    config: { upstream: { proxy: proxy.url, caFile: tls.path } },
  });
  localError(t, await send(url + MODELS), 502, 'UPSTREAM_TLS');
  t.strictSame(upstream.requests, []);
});

for (const noProxy of ['127.0.0.1', '*', 'example.com, 127.0.0.1']) {
  t.test(`NO_PROXY=${noProxy} goes past the proxy`, async (t) => {
    const proxy = await startConnectProxy(t);
    const upstream = await answering(t);
    const env = { HTTPS_PROXY: proxy.url, NO_PROXY: noProxy };
    await bothWays(t, upstream, { env, config: { upstream: { proxy: 'env', caFile } } });
    t.equal(proxy.connections, 0);
  });
}

t.test('proxy: null goes past the environment', async (t) => {
  const proxy = await startConnectProxy(t);
  const upstream = await answering(t);
  await bothWays(t, upstream, {
    env: { HTTPS_PROXY: proxy.url },
    config: { upstream: { caFile } },
  });
  t.equal(proxy.connections, 0);
});

t.test('headers through a proxy keep order, spelling and repetition', async (t) => {
  const proxy = await startConnectProxy(t);
  const upstream = await answering(t);
  const config = { upstream: { proxy: proxy.url, caFile } };
  const { url } = await startSidecarInFrontOf(t, upstream.origin, { config });
  const headers = ['X-B', '1', 'x-a', '2', 'X-b', '3', 'X-B', '4'];
  await send(url + MODELS, { headers: ['Host', 'localhost', ...headers] });
  const [request] = upstream.requests;
  t.ok(request);
  if (!request) return;
  t.strictSame(wireHeaders(request, 'host', 'connection').slice(0, headers.length), headers);
  t.equal(request.headers.host, `127.0.0.1:${upstream.port}`);
});

for (const [userinfo, credential] of [
  ['user:proxy-password@', 'user:proxy-password'],
  ['a-proxy-token@', 'a-proxy-token:'],
  [':proxy-password@', ':proxy-password'],
  ['us%40er:pass%3Aword%C3%A9@', 'us@er:pass:wordé'],
] as const) {
  t.test(`${userinfo} goes to the proxy, and nowhere else`, async (t) => {
    const proxy = await startConnectProxy(t);
    const upstream = await answering(t);
    const env = { HTTPS_PROXY: proxy.url.replace('http://', `http://${userinfo}`) };
    const config = { upstream: { proxy: 'env', caFile } };
    const { url, log } = await startSidecarInFrontOf(t, upstream.origin, { config, env });
    t.equal((await send(url + MODELS)).text, 'ok');
    const basic = Buffer.from(credential).toString('base64');
    t.strictSame(new Set(proxy.credentials), new Set([`Basic ${basic}`]));
    t.equal(upstream.requests[0]?.headers['proxy-authorization'], undefined);
    for (const secret of [basic, 'proxy-']) t.notMatch(log.join(''), secret);
  });
}

t.test('a proxy without a scheme is one over http', async (t) => {
  const proxy = await startConnectProxy(t);
  const upstream = await answering(t);
  const env = { HTTPS_PROXY: proxy.url.replace('http://', '') };
  await bothWays(t, upstream, { env, config: { upstream: { proxy: 'env', caFile } } });
  t.ok(proxy.tunnels.length > 0);
});

t.test('an address that is no proxy ends the start, with the name of the variable', async (t) => {
  for (const [name, value, problem] of [
    [
      'HTTPS_PROXY',
      'socks5://u:hush@proxy',
      'HTTPS_PROXY names a SOCKS proxy, which is not supported; name an http proxy',
    ],
    ['https_proxy', 'http://[', 'HTTPS_PROXY must be an http or https URL'],
    [
      'HTTPS_PROXY',
      'http://u:%zzhush@proxy',
      'HTTPS_PROXY: user and password must be percent-encoded UTF-8',
    ],
  ] as const) {
    const config = { upstream: { proxy: 'env' } };
    const start = startSidecarInFrontOf(t, 'https://127.0.0.1:1', {
      env: { [name]: value },
      config,
    });
    await t.rejects(start, { name: 'ConfigError', message: problem });
  }
});

t.test('a proxy that refuses is named, with its status', async (t) => {
  const upstream = await answering(t);
  for (const status of [407, 403, 502, 301, 599]) {
    const proxy = await startConnectProxy(t, `${status} Refused`);
    const withUser = proxy.url.replace('http://', 'http://user:hush@');
    const { url } = await startSidecarInFrontOf(t, upstream.origin, {
      env: { HTTPS_PROXY: withUser },
      config: { upstream: { proxy: 'env', caFile } },
    });
    for (const response of [await send(url + MODELS), await tryUpgrade(url + RESPONSES)]) {
      localError(t, response, 502, 'UPSTREAM_UNREACHABLE');
      t.match(response.text, `the proxy ${proxy.url} answered CONNECT with ${status}`);
      t.equal(response.text.includes('wants a user and a password'), status === 407);
      t.notMatch(response.text, 'hush');
    }
  }
  t.equal(upstream.connections, 0);
});

t.test('a proxy that is not there is named', async (t) => {
  const proxy = `http://127.0.0.1:${await closedPort()}`;
  const { url } = await startSidecarInFrontOf(t, 'https://127.0.0.1:1', {
    config: { upstream: { proxy } },
  });
  for (const response of [await send(url + MODELS), await tryUpgrade(url + RESPONSES)]) {
    localError(t, response, 502, 'UPSTREAM_UNREACHABLE');
    t.match(response.text, `the proxy ${proxy}: it refuses connections (ECONNREFUSED)`);
  }
});

for (const success of ['200 OK', '201 Created', '204 No Content', '299 Tunnel']) {
  t.test(`any 2xx opens a tunnel: ${success}`, async (t) => {
    const proxy = await startConnectProxy(t, null, success);
    const config = { upstream: { proxy: proxy.url, caFile } };
    await bothWays(t, await answering(t), { config });
  });
}
