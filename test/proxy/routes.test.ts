import t from 'tap';
import type { RouteRule } from '../../src/config/resolve.ts';
import { DEFAULT_ROUTES, isModelRoute, matchRoute, upstreamPath } from '../../src/proxy/routes.ts';

function authOf(method: string, path: string, upgrade = false): string | undefined {
  return matchRoute(DEFAULT_ROUTES, method, path, upgrade)?.auth;
}

t.test('the default table', async (t) => {
  t.equal(authOf('POST', '/backend-api/codex/responses'), 'assertion');
  t.equal(authOf('GET', '/backend-api/codex/responses', true), 'assertion');
  t.equal(authOf('GET', '/backend-api/codex/responses'), 'bearer', 'a GET is no inference');
  t.equal(authOf('POST', '/backend-api/codex/responses/compact'), 'assertion');
  t.equal(authOf('GET', '/backend-api/codex/responses/compact', true), 'bearer');
  t.equal(authOf('POST', '/backend-api/codex/responses/other'), 'bearer');
  t.equal(authOf('GET', '/backend-api/wham/agent-identities/jwks'), 'none');
  t.equal(authOf('POST', '/backend-api/wham/agent-identities/jwks'), 'bearer');
  t.equal(authOf('GET', '/backend-api/wham/usage'), 'bearer');
  t.equal(authOf('DELETE', '/backend-api/codex/anything/below'), 'bearer');
});

t.test('a denied folder is denied with everything in it, by any method', async (t) => {
  for (const path of ['/backend-api/wham/remote/control', '/backend-api/wham/remote/control/a/b']) {
    t.equal(authOf('GET', path), 'deny');
    t.equal(authOf('POST', path), 'deny');
    t.equal(authOf('GET', path, true), 'deny');
  }
  t.equal(authOf('GET', '/backend-api/wham/remote/controls'), 'bearer');
});

t.test('the first rule that fits wins, and none fits nothing', async (t) => {
  const rules: RouteRule[] = [
    { methods: ['GET'], path: '/backend-api/a/*', auth: 'none' },
    { methods: ['*'], path: '/backend-api/a/b', auth: 'deny' },
  ];
  t.equal(matchRoute(rules, 'GET', '/backend-api/a/b', false)?.auth, 'none');
  t.equal(matchRoute(rules, 'POST', '/backend-api/a/b', false)?.auth, 'deny');
  t.equal(matchRoute(rules, 'POST', '/backend-api/a', false), null);
  t.equal(matchRoute(rules, 'GET', '/backend-api/ab', false), null);
});

t.test('GET+upgrade is the upgrade alone', async (t) => {
  const rules: RouteRule[] = [{ methods: ['GET+upgrade'], path: '/backend-api/x', auth: 'bearer' }];
  t.ok(matchRoute(rules, 'GET', '/backend-api/x', true));
  t.notOk(matchRoute(rules, 'GET', '/backend-api/x', false));
  t.notOk(matchRoute(rules, 'POST', '/backend-api/x', true));
});

t.test('model routes lie below /backend-api/codex/', async (t) => {
  t.ok(isModelRoute('/backend-api/codex/models'));
  for (const path of ['/backend-api/codex', '/backend-api/codexx/models', '/backend-api/models']) {
    t.notOk(isModelRoute(path), path);
  }
});

t.test('the path upstream', async (t) => {
  const path = '/backend-api/codex/responses';
  t.equal(upstreamPath('chatgpt', '/backend-api', path), '/backend-api/codex/responses');
  t.equal(upstreamPath('chatgpt', '/base/path', path), '/base/path/codex/responses');
  t.equal(upstreamPath('chatgpt', '', path), '/codex/responses');
  t.equal(upstreamPath('openai', '/v1', path), '/v1/responses');
});

t.test('what is denied is denied in any spelling, what is allowed only in its own', async (t) => {
  t.equal(authOf('GET', '/backend-api/WHAM/Remote/control/x'), 'deny');
  t.equal(authOf('GET', '/Backend-API/wham/usage'), undefined);
});

t.test('a spelling that may stand for the path of an earlier rule has no rule', async (t) => {
  for (const end of [
    'Responses',
    'responses.',
    'responses...',
    'responses%20',
    'responses/..%20.',
  ]) {
    t.equal(authOf('POST', `/backend-api/codex/${end}`), undefined, end);
  }
  t.equal(authOf('GET', '/backend-api/codex/Responses'), 'bearer', 'no earlier rule for GET');
  t.equal(authOf('GET', '/backend-api/wham/remote./Control%20./x'), 'deny');
  t.equal(authOf('GET', '/backend-api/files/A.b.'), 'bearer');
});

t.test('a long row of dots costs no time to speak of', async (t) => {
  t.equal(authOf('GET', `/backend-api/files/${'.'.repeat(60_000)}a`), 'bearer');
});

t.test('what Codex never asks for has no rule, above all the chats of the owner', async (t) => {
  for (const path of [
    '',
    '/me',
    '/conversations',
    '/conversation/1',
    '/accounts/check',
    '/accounts/check/v4-2023-04-27',
    '/accounts/settings',
    '/accounts/1/settings/2',
    '/accounts/1/users',
    '/settings/user',
    '/filesystem',
    '/codexx/models',
    '/whams/usage',
    '/plugin',
  ]) {
    for (const method of ['GET', 'POST', 'DELETE']) {
      t.equal(authOf(method, `/backend-api${path}`), undefined, `${method} ${path}`);
    }
  }
});
