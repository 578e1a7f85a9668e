import t, { type Test } from 'tap';
import { Secret } from '../../src/base/secret.ts';
import {
  checkClock,
  checkJwks,
  checkUpstream,
  neededUpstreams,
} from '../../src/commands/doctor/upstream.ts';
import { resolveConfig } from '../../src/config/resolve.ts';
import { startEmulator } from '../../src/emulator/index.ts';
import { BackendClock } from '../../src/upstream/backend-clock.ts';
import { createDispatcher } from '../../src/upstream/dispatcher.ts';
import { makeCertificate } from '../helpers/certificates.ts';
import { startConnectProxy } from '../helpers/connect-proxy.ts';
import { closedPort, startTcpUpstream, startUpstream } from '../helpers/upstream.ts';

const NO_PROXIES = { httpsProxy: null, noProxy: null };

function network(t: Test, { ca = null as string | null, proxy = null as string | null } = {}) {
  const dispatcher = createDispatcher({
    authorities: ca === null ? [] : [ca],
    proxy,
    proxyEnvironment: NO_PROXIES,
  });
  t.teardown(() => dispatcher.destroy());
  return { dispatcher, proxy, proxyEnvironment: NO_PROXIES };
}

const lines = (findings: { check: string; outcome: string }[]) =>
  findings.map(({ check, outcome }) => `${check.split(' ')[0]} ${outcome}`);

t.test('an upstream that answers, and gets no credential', async (t) => {
  const upstream = await startUpstream(t, (_request, response) => response.writeHead(403).end());
  const findings = await checkUpstream(`${upstream.origin}/base`, network(t), null);
  t.strictSame(lines(findings), ['TCP ok', 'HTTP ok']);
  t.match(upstream.requests, [{ method: 'GET', url: '/base' }]);
  t.notOk('authorization' in (upstream.requests[0]?.headers ?? {}));
});

const ANSWERS: [name: string, status: number, headers: Record<string, string>, outcome: string][] =
  [
    ['trouble', 503, {}, 'warning'],
    ['a challenge of Cloudflare', 403, { 'cf-mitigated': 'challenge' }, 'warning'],
    ['more than is read', 200, { 'content-length': '1000000' }, 'ok'],
  ];

for (const [name, status, headers, outcome] of ANSWERS) {
  t.test(`an upstream that answers with ${name}`, async (t) => {
    const upstream = await startUpstream(t, (_request, response) => {
      response.writeHead(status, headers).end(Buffer.alloc(Number(headers['content-length'] ?? 0)));
    });
    const findings = await checkUpstream(upstream.origin, network(t), null);
    t.strictSame(lines(findings), ['TCP ok', `HTTP ${outcome}`]);
  });
}

t.test('an upstream that hangs up', async (t) => {
  const upstream = await startTcpUpstream(t);
  void upstream.next().then((socket) => {
    socket.destroy();
    void upstream.next().then((next) => next.destroy());
  });
  const findings = await checkUpstream(upstream.origin, network(t), null);
  t.strictSame(lines(findings), ['TCP ok', 'HTTP failure']);
});

t.test('nobody there', async (t) => {
  const url = `http://127.0.0.1:${await closedPort()}`;
  t.match(await checkUpstream(url, network(t), null), [
    { check: /^TCP/, outcome: 'failure', message: /ECONNREFUSED/, remedy: /upstream\.proxy/ },
  ]);
});

t.test('a certificate that is trusted, and one that is not', async (t) => {
  const certificate = await makeCertificate(t);
  const upstream = await startUpstream(t, (_request, response) => response.end(), certificate);
  const trusted = await checkUpstream(upstream.origin, network(t, { ca: certificate.cert }), null);
  t.strictSame(lines(trusted), ['TCP ok', 'TLS ok', 'HTTP ok']);
  const stranger = await checkUpstream(upstream.origin, network(t), null);
  t.strictSame(lines(stranger), ['TCP ok', 'TLS failure']);
  t.match(stranger[1]?.remedy, /upstream\.caFile/);
});

t.test('a name that resolves, and one that does not', async (t) => {
  const url = `http://localhost:${await closedPort()}`;
  const found = await checkUpstream(url, network(t), null, async () => []);
  t.strictSame(lines(found), ['DNS ok', 'TCP failure']);
  const unknown = Object.assign(new Error(), { code: 'ENOTFOUND' });
  t.match(await checkUpstream(url, network(t), null, () => Promise.reject(unknown)), [
    { check: 'DNS localhost', outcome: 'failure', message: /ENOTFOUND/ },
  ]);
});

t.test('with a proxy, what is reached is the proxy', async (t) => {
  const tls = await makeCertificate(t);
  const upstream = await startUpstream(t, (_request, response) => response.end(), tls);
  const check = ({ url: proxy }: { url: string }, origin = upstream.origin) =>
    checkUpstream(origin, network(t, { ca: tls.cert, proxy }), null);
  const proxy = await startConnectProxy(t);
  const findings = await check(proxy);
  t.strictSame(lines(findings), ['TCP ok', 'TLS ok', 'HTTP ok']);
  t.match(findings[0], {
    check: `TCP 127.0.0.1:${new URL(proxy.url).port}`,
    message: `connects (the proxy for 127.0.0.1:${upstream.port})`,
  });
  t.strictSame(proxy.tunnels, [new URL(upstream.origin).host]);
  const refused = await check(await startConnectProxy(t, 407));
  t.strictSame(lines(refused), ['TCP ok', 'HTTP failure']);
  const unused = await startConnectProxy(t);
  const plain = await startUpstream(t, (_request, response) => response.end());
  const direct = await check(unused, plain.origin);
  t.strictSame(lines(direct), ['TCP ok', 'HTTP ok']);
  t.match(direct[0]?.check, `TCP 127.0.0.1:${plain.port}`);
  t.equal(unused.connections, 0);
});

t.test('the clock is compared with the answer', async (t) => {
  const upstream = await startUpstream(t, (_request, response) => {
    response.writeHead(404, { date: 'Sat, 21 Nov 2026 12:00:00 GMT' }).end();
  });
  const log = { warn: () => undefined, info: () => undefined };
  const clock = new BackendClock(() => Date.parse('2026-11-21T12:01:40.500Z'), log);
  await checkUpstream(upstream.origin, network(t), clock);
  t.match(checkClock(clock.skewSeconds), {
    outcome: 'warning',
    message: '100 s ahead of the backend',
  });
  t.match(checkClock(-30), { outcome: 'ok', message: '30 s behind the backend' });
  t.match(checkClock(null), { outcome: 'warning', message: /cannot be checked/ });
});

t.test('the JWKS', async (t) => {
  const emulator = await startEmulator();
  t.teardown(() => emulator.close());
  const { dispatcher } = network(t);
  const { chatgptBaseUrl } = emulator.upstream;
  const token = new Secret(emulator.issueIdentityToken());
  const check = (base: string) => checkJwks(token, base, dispatcher, Date.now());
  t.equal((await check(chatgptBaseUrl)).outcome, 'ok');
  t.ok(
    emulator.records.every(({ auth }) => auth.kind === 'none'),
    'no credential was sent',
  );
  const other = await startEmulator({ ownSigningKey: true });
  t.teardown(() => other.close());
  t.match(await check(other.upstream.chatgptBaseUrl), {
    outcome: 'failure',
    message: /header kid|signature/,
  });
  t.match(await check(`${emulator.url}/nowhere`), {
    outcome: 'failure',
    message: /responded with 404/,
  });
  const html = await startUpstream(t, (_request, response) => response.end('<html>'));
  t.match(await check(html.origin), { outcome: 'failure', message: /did not send a JWKS/ });
});

t.test('each credential needs its own upstreams, each origin once', async (t) => {
  const config = resolveConfig({});
  const origins = (kind: string | null, policy = 'jwtOnly', form = 'runTask', upstream = {}) =>
    neededUpstreams(
      (kind && { kind, tokens: { provenance: null } }) as Parameters<typeof neededUpstreams>[0],
      resolveConfig({ ...config, agentIdentity: { policy, form } }, { upstream }),
    ).map((url) => new URL(url).host);
  t.strictSame(origins(null), ['chatgpt.com']);
  t.strictSame(origins('apikey'), ['api.openai.com']);
  t.strictSame(origins('personalAccessToken'), ['chatgpt.com', 'auth.openai.com']);
  t.strictSame(origins('identityToken'), ['chatgpt.com', 'auth.openai.com']);
  t.strictSame(origins('chatgpt', 'chatgptAuth'), ['chatgpt.com', 'auth.openai.com']);
  const elsewhere = { instanceRegistrationUrl: 'https://instances.example/register' };
  for (const kind of ['chatgpt', 'personalAccessToken']) {
    t.strictSame(origins(kind, 'chatgptAuth', 'runtimeInstance', elsewhere), [
      ...['chatgpt.com', 'auth.openai.com'],
      'instances.example',
    ]);
  }
});
