import Fastify from 'fastify';
import t, { type Test } from 'tap';
import type { AccessRules } from '../../src/access/caller.ts';
import { parseClientTokens } from '../../src/access/client-tokens.ts';
import { guardAccess } from '../../src/access/plugin.ts';
import { SidecarError } from '../../src/errors.ts';

// SHA-256 of "right".
const DIGEST = '27042f4e6eca7d0b2a7ee4026df2ecfa51d3339e6d122aa099118ecd8563bad9';
const TOKEN = { 'x-sidecar-token': 'right' };
const ELSEWHERE = '192.0.2.7';

function build(t: Test, changes: Partial<AccessRules> = {}) {
  const app = Fastify();
  t.teardown(() => app.close());
  const rules: AccessRules = {
    viaSocket: false,
    listenHost: '127.0.0.1',
    allowedHosts: [],
    allowedOrigins: [],
    tokens: parseClientTokens(`test:${DIGEST}`),
    ...changes,
  };
  guardAccess(app, () => rules);
  app.setErrorHandler((error, _request, reply) => {
    const code = error instanceof SidecarError ? error.code : String(error);
    return reply.code(400).send(code);
  });
  app.get('/client/*', { config: { access: 'client' } }, async (request) => request.target);
  app.get('/local', { config: { access: 'local' } }, async (request) => String(request.target));
  app.get('/open', { config: { access: 'open' } }, async () => 'open');
  const get = async (url: string, headers = {}, remoteAddress = '127.0.0.1') =>
    (await app.inject({ url, headers: { host: 'localhost', ...headers }, remoteAddress })).body;
  return { app, get };
}

t.test('a route that does not say who may call it stops the start', async (t) => {
  const { app } = build(t);
  t.throws(() => app.get('/forgotten', async () => 'x'), /route \/forgotten has no access level/);
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
  t.match(await get('/nowhere', TOKEN), /not found/i);
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
