import t, { type Test } from 'tap';
import { makeCertificate } from '../helpers/certificates.ts';
import { startConnectProxy } from '../helpers/connect-proxy.ts';
import { localError, send } from '../helpers/exchange.ts';
import { MODELS, RESPONSES, type SidecarOptions, startInFrontOf } from '../helpers/stack.ts';
import { closedPort, type HttpUpstream, startUpstream, wireHeaders } from '../helpers/upstream.ts';
import { tryUpgrade } from '../helpers/websocket.ts';

/** One request and one upgrade to `upstream` that answers both. */
async function bothWays(t: Test, upstream: HttpUpstream, options: SidecarOptions): Promise<void> {
  const { url } = await startInFrontOf(t, upstream.origin, options);
  t.equal((await send(url + MODELS)).text, 'ok');
  const dialling = tryUpgrade(url + RESPONSES);
  const { socket } = await upstream.nextUpgrade();
  socket.end('HTTP/1.1 426 Upgrade Required\r\ncontent-length: 0\r\n\r\n');
  t.equal((await dialling).status, 426);
}

const answering = (t: Test, tls: { key: string; cert: string } | null = null) =>
  startUpstream(t, (_request, response) => response.end('ok'), tls);

for (const name of ['upstream.proxy', 'http_proxy', 'HTTP_PROXY'] as const) {
  t.test(`${name} is used for requests and upgrades`, async (t) => {
    const proxy = await startConnectProxy(t);
    const upstream = await answering(t);
    const options =
      name === 'upstream.proxy'
        ? { config: { upstream: { proxy: proxy.url } } }
        : { config: { upstream: { proxy: 'env' } }, env: { [name]: proxy.url } };
    await bothWays(t, upstream, options);
    t.strictSame(new Set(proxy.tunnels), new Set([`127.0.0.1:${upstream.port}`]));
    t.equal(proxy.tunnels.length, upstream.connections, 'nothing went past it');
    t.strictSame(proxy.requests, []);
  });
}

for (const name of ['upstream.proxy', 'https_proxy', 'HTTPS_PROXY'] as const) {
  t.test(`${name} is used for an upstream with TLS, whose certificate is checked`, async (t) => {
    const proxy = await startConnectProxy(t);
    const tls = await makeCertificate(t);
    const upstream = await answering(t, tls);
    const given = name === 'upstream.proxy' ? proxy.url : 'env';
    const env = { [name]: proxy.url };
    await bothWays(t, upstream, {
      env,
      config: { upstream: { proxy: given, caFile: tls.path } },
    });
    t.equal(proxy.tunnels.length, upstream.connections);
    const seen = upstream.requests.length;
    const { url } = await startInFrontOf(t, upstream.origin, {
      env,
      config: { upstream: { proxy: given } },
    });
    localError(t, await send(url + MODELS), 502, 'UPSTREAM_TLS');
    localError(t, await tryUpgrade(url + RESPONSES), 502, 'UPSTREAM_TLS');
    t.equal(upstream.requests.length, seen);
  });
}

t.test('the certificate of another host behind the proxy is refused as such', async (t) => {
  const proxy = await startConnectProxy(t);
  const tls = await makeCertificate(t, { name: 'DNS:elsewhere.example' });
  const upstream = await answering(t, tls);
  const { url } = await startInFrontOf(t, upstream.origin, {
    config: { upstream: { proxy: proxy.url, caFile: tls.path } },
  });
  localError(t, await send(url + MODELS), 502, 'UPSTREAM_TLS');
  t.strictSame(upstream.requests, []);
});

for (const noProxy of ['127.0.0.1', '*', 'example.com, 127.0.0.1']) {
  t.test(`NO_PROXY=${noProxy} goes past the proxy`, async (t) => {
    const proxy = await startConnectProxy(t);
    const upstream = await answering(t);
    const env = { HTTP_PROXY: proxy.url, NO_PROXY: noProxy };
    await bothWays(t, upstream, { env, config: { upstream: { proxy: 'env' } } });
    t.strictSame(proxy.tunnels, []);
  });
}

t.test('proxy: null goes past the environment', async (t) => {
  const proxy = await startConnectProxy(t);
  const upstream = await answering(t);
  await bothWays(t, upstream, { env: { HTTP_PROXY: proxy.url } });
  t.strictSame(proxy.tunnels, []);
});

t.test('headers through a proxy keep order, spelling and repetition', async (t) => {
  const proxy = await startConnectProxy(t);
  const upstream = await answering(t);
  const config = { upstream: { proxy: proxy.url } };
  const { url } = await startInFrontOf(t, upstream.origin, { config });
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
    const env = { HTTP_PROXY: proxy.url.replace('http://', `http://${userinfo}`) };
    const config = { upstream: { proxy: 'env' } };
    const { url, log } = await startInFrontOf(t, upstream.origin, { config, env });
    t.equal((await send(url + MODELS)).text, 'ok');
    const basic = Buffer.from(credential).toString('base64');
    t.strictSame(proxy.credentials, [`Basic ${basic}`]);
    t.equal(upstream.requests[0]?.headers['proxy-authorization'], undefined);
    for (const secret of [basic, 'proxy-']) t.notMatch(log.join(''), secret);
  });
}

t.test('each variable is for upstreams of its own scheme alone', async (t) => {
  const tls = await makeCertificate(t);
  for (const [name, secure] of [
    ['HTTP_PROXY', true],
    ['HTTPS_PROXY', false],
  ] as const) {
    const proxy = await startConnectProxy(t);
    const upstream = await answering(t, secure ? tls : null);
    const config = { upstream: { proxy: 'env', caFile: tls.path } };
    await bothWays(t, upstream, { env: { [name]: proxy.url }, config });
    t.strictSame([proxy.tunnels, proxy.requests], [[], []], name);
  }
});

t.test('both variables, each with its own proxy', async (t) => {
  const tls = await makeCertificate(t);
  const [plain, secure] = [await startConnectProxy(t), await startConnectProxy(t)];
  const env = { HTTP_PROXY: plain.url, HTTPS_PROXY: secure.url };
  const config = { upstream: { proxy: 'env', caFile: tls.path } };
  await bothWays(t, await answering(t), { env, config });
  t.strictSame([plain.tunnels.length > 0, secure.tunnels.length], [true, 0]);
  const before = plain.tunnels.length;
  await bothWays(t, await answering(t, tls), { env, config });
  t.strictSame([plain.tunnels.length - before, secure.tunnels.length > 0], [0, true]);
});

t.test('a proxy without a scheme is one over http', async (t) => {
  const proxy = await startConnectProxy(t);
  const upstream = await answering(t);
  const env = { HTTP_PROXY: proxy.url.replace('http://', '') };
  await bothWays(t, upstream, { env, config: { upstream: { proxy: 'env' } } });
  t.ok(proxy.tunnels.length > 0);
});

t.test('an address that is no proxy ends the start, with the name of the variable', async (t) => {
  for (const [name, value, problem] of [
    ['HTTP_PROXY', 'socks5://u:hush@proxy', 'HTTP_PROXY must be an http or https URL'],
    ['https_proxy', 'http://[', 'HTTPS_PROXY must be an http or https URL'],
    [
      'HTTPS_PROXY',
      'http://u:%zzhush@proxy',
      'HTTPS_PROXY: user and password must be percent-encoded UTF-8',
    ],
  ] as const) {
    const config = { upstream: { proxy: 'env' } };
    const start = startInFrontOf(t, 'http://127.0.0.1:1', { env: { [name]: value }, config });
    await t.rejects(start, { name: 'ConfigError', message: problem });
  }
});

t.test('a proxy that refuses, or is not there, is a 502', async (t) => {
  const upstream = await answering(t);
  const refusing = await startConnectProxy(t, 407);
  for (const proxy of [refusing.url, `http://127.0.0.1:${await closedPort()}`]) {
    const config = { upstream: { proxy } };
    const { url } = await startInFrontOf(t, upstream.origin, { config });
    localError(t, await send(url + MODELS), 502, 'UPSTREAM_UNREACHABLE');
    localError(t, await tryUpgrade(url + RESPONSES), 502, 'UPSTREAM_UNREACHABLE');
  }
  t.equal(upstream.connections, 0);
});
