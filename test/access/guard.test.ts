import Fastify from 'fastify';
import t, { type Test } from 'tap';
import type { AccessRules } from '../../src/access/caller.ts';
import { guardAccess } from '../../src/access/plugin.ts';
import { SidecarError } from '../../src/base/errors.ts';
import { parseClientTokens } from '../../src/clients/client-tokens.ts';
import { recordExchanges } from '../../src/inbound/observe.ts';
import { PeerCertificates } from '../../src/inbound/peer-certificates.ts';
import type { InboundRequest } from '../../src/inbound/request-context.ts';
import { ExchangeLog } from '../../src/telemetry/exchange-record.ts';

// SHA-256 of "right".
const DIGEST = '27042f4e6eca7d0b2a7ee4026df2ecfa51d3339e6d122aa099118ecd8563bad9';
const TOKEN = { 'x-sidecar-token': 'right' };
const ELSEWHERE = '192.0.2.7';
const NOW = Date.parse('2026-06-01T00:00:00Z');

function build(t: Test, changes: Partial<AccessRules> = {}, isRouted = true) {
  const app = Fastify();
  t.teardown(() => app.close());
  const rules: AccessRules = {
    viaSocket: false,
    listenHost: '127.0.0.1',
    allowedHosts: [],
    allowedOrigins: [],
    tokens: parseClientTokens(`test:${DIGEST}`),
    certificates: null,
    ...changes,
  };
  const record = recordExchanges(app, new ExchangeLog(Date.now, Date.now));
  app.addHook('onRequest', async (request, reply) => record(request, reply));
  const guard = guardAccess(
    app,
    () => rules,
    () => isRouted,
    new PeerCertificates(),
    () => NOW,
  );
  app.setErrorHandler((error, _request, reply) => {
    const code = error instanceof SidecarError ? error.code : String(error);
    return reply.code(400).send(code);
  });
  app.get('/client/*', { config: { access: 'client' } }, async (request) => request.target);
  app.get('/local', { config: { access: 'local' } }, async (request) => String(request.target));
  app.get('/open', { config: { access: 'open' } }, async () => 'open');
  app.get(
    '/name',
    { config: { access: 'client' } },
    async (request) => `is ${request.client?.name ?? null}`,
  );
  app.get('/page', { config: { access: 'local', fromOwnPage: true } }, async () => 'page');
  const get = async (url: string, headers = {}, remoteAddress = '127.0.0.1') =>
    (await app.inject({ url, headers: { host: 'localhost', ...headers }, remoteAddress })).body;
  return { app, get, guard };
}

/** The one token, with a limit. */
function limited(limit: string): Partial<AccessRules> {
  return { tokens: parseClientTokens(`test:${DIGEST} ${limit}`) };
}

t.test('a route that does not say who may call it stops the start', async (t) => {
  const { app } = build(t);
  t.throws(() => app.get('/forgotten', async () => 'x'), /route \/forgotten has no access level/);
});

t.test("what is open needs a route, the sidecar's own endpoints do not", async (t) => {
  const { app, get, guard } = build(t, {}, false);
  const endings: unknown[] = [];
  const checked = async (request: InboundRequest) => {
    guard.check();
    endings.push(request.exchange.ending);
    return '';
  };
  app.get('/own', { config: { access: 'local', own: true } }, checked);
  app.get('/proxied', { config: { access: 'client' } }, checked);
  await get('/own', TOKEN, ELSEWHERE);
  await get('/proxied', TOKEN);
  t.strictSame(endings, [null, 'revoked']);
});

t.test('hands the normal form of the target to routes for clients', async (t) => {
  const { get } = build(t);
  const target = { path: '/client/a-b', query: '?x=%2e' };
  t.strictSame(JSON.parse(await get('/client/a%2db?x=%2e', TOKEN)), target);
  t.equal(await get('/local'), 'null');
});

t.test('a target that has none is refused, after the token', async (t) => {
  const { get } = build(t);
  t.equal(await get('/client/a%3bb', TOKEN), 'AUTH_PATH_INVALID');
  t.equal(await get('/client/a%2fb', TOKEN), 'AUTH_PATH_INVALID');
  t.equal(await get('/client/a%2fb'), 'AUTH_CLIENT_TOKEN');
});

t.test('asks callers for a token by level and by where they are', async (t) => {
  const { get } = build(t);
  const refused = 'AUTH_CLIENT_TOKEN';
  t.equal(await get('/client/a'), refused);
  t.equal(await get('/local', {}, '::ffff:127.0.0.1'), 'null');
  t.equal(await get('/local', {}, ELSEWHERE), refused);
  t.equal(await get('/local', TOKEN, ELSEWHERE), 'null');
  t.equal(await get('/open', {}, ELSEWHERE), 'open');
});

t.test('through a Unix socket every caller is local', async (t) => {
  const { get } = build(t, { viaSocket: true });
  t.equal(await get('/local', { host: 'anything' }, ELSEWHERE), 'null');
});

t.test('what has no route is guarded like a route for clients', async (t) => {
  const { get } = build(t);
  t.equal(await get('/nowhere'), 'AUTH_CLIENT_TOKEN');
  t.equal(await get('/nowhere', { ...TOKEN, host: 'evil.example' }), 'AUTH_HOST_NOT_ALLOWED');
  t.equal(await get('/nowhere', TOKEN), 'AUTH_ROUTE_DENIED');
});

t.test('reads every header that the rules look at', async (t) => {
  const { get } = build(t);
  const bearer = { authorization: 'Bearer right' };
  t.match(await get('/client/a', bearer), '/client/a');
  const origin = 'https://evil.example';
  t.equal(await get('/client/a', { ...bearer, origin }), 'AUTH_ORIGIN_NOT_ALLOWED');
  const site = { 'sec-fetch-site': 'cross-site' };
  t.equal(await get('/open', site), 'AUTH_ORIGIN_NOT_ALLOWED');
  t.equal(await get('/open', { host: 'evil.example' }), 'AUTH_HOST_NOT_ALLOWED');
});

t.test('the request knows the name of its client', async (t) => {
  t.equal(await build(t).get('/name', TOKEN), 'is test');
  t.equal(await build(t, { tokens: null }).get('/name', TOKEN), 'is null');
});

t.test('a refusal by the limits of a token has its name too', async (t) => {
  const { app, get } = build(t, limited('expires=2026-05-31T23:59:59Z'));
  const names: (string | null)[] = [];
  app.addHook('onResponse', async ({ client }) => {
    names.push(client?.name ?? null);
  });
  t.equal(await get('/name', TOKEN), 'AUTH_CLIENT_TOKEN');
  t.equal(await get('/name'), 'AUTH_CLIENT_TOKEN');
  t.strictSame(names, ['test', null]);
});

t.test('a token ends at its time', async (t) => {
  const until = (time: string) => build(t, limited(`expires=${time}`)).get('/name', TOKEN);
  t.equal(await until('2026-06-01T00:00:00Z'), 'AUTH_CLIENT_TOKEN');
  t.equal(await until('2026-06-01T00:00:00.001Z'), 'is test');
});

t.test('the routes of a token are held against the normal form of the path', async (t) => {
  const { get } = build(t, limited('routes=/client/a-b,/client/c/*'));
  const denied = 'AUTH_ROUTE_DENIED';
  for (const path of ['/client/a-b?x', '/client/a%2db', '/client/c', '/client/c/d/e']) {
    t.match(await get(path, TOKEN), '"path":"/client/', path);
  }
  for (const path of [
    '/client/a-b/c',
    '/client/a',
    '/client/cc',
    '/client/C/d',
    '/name',
    '/none',
  ]) {
    t.equal(await get(path, TOKEN), denied, path);
  }
  t.equal(await get('/client/c/..%2fa', TOKEN), 'AUTH_PATH_INVALID');
});

t.test('the routes of a token hold for the own endpoints where they ask for it', async (t) => {
  const { get } = build(t, limited('routes=/client/*'));
  t.equal(await get('/local', TOKEN, ELSEWHERE), 'AUTH_ROUTE_DENIED');
  t.equal(await get('/local', TOKEN), 'null');
  t.equal(await build(t, limited('routes=/local')).get('/local', TOKEN, ELSEWHERE), 'null');
});

const SAME_ORIGIN = { 'sec-fetch-site': 'same-origin' };

t.test("the sidecar's own page reads what is meant for it, and nothing else", async (t) => {
  const { get } = build(t);
  t.equal(await get('/page', SAME_ORIGIN), 'page');
  for (const path of ['/open', '/local', '/client/a', '/nowhere']) {
    t.equal(await get(path, { ...SAME_ORIGIN, ...TOKEN }), 'AUTH_ORIGIN_NOT_ALLOWED', path);
  }
});

t.test('no other page does, nor one whose name was pointed at this machine', async (t) => {
  const { get } = build(t);
  const origin = 'http://localhost';
  for (const site of ['cross-site', 'same-site', 'same-origin, same-origin', '']) {
    t.equal(await get('/page', { 'sec-fetch-site': site }), 'AUTH_ORIGIN_NOT_ALLOWED', site);
  }
  t.equal(await get('/page', { ...SAME_ORIGIN, origin }), 'AUTH_ORIGIN_NOT_ALLOWED');
  const host = 'evil.example';
  t.equal(await get('/page', { ...SAME_ORIGIN, host }), 'AUTH_HOST_NOT_ALLOWED');
  t.equal(await get('/page', SAME_ORIGIN, ELSEWHERE), 'AUTH_CLIENT_TOKEN');
});

t.test('a route that changes something or wants a token is never for pages', async (t) => {
  const { app } = build(t);
  const page = (access: 'client' | 'local') => ({ config: { access, fromOwnPage: true as const } });
  t.throws(() => app.post('/a', page('local'), async () => 'x'), /route \/a is not for pages/);
  t.throws(() => app.get('/b', page('client'), async () => 'x'), /route \/b is not for pages/);
});
