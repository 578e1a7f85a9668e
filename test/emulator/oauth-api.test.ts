import { decodeJwt } from 'jose';
import t from 'tap';
import type { Emulator } from '../../src/emulator/index.ts';
import { bearerHeaders, call, start } from './client.ts';

const USAGE = '/backend-api/wham/usage';

function refresh(emulator: Emulator, refreshToken: unknown) {
  const body = { client_id: 'app', grant_type: 'refresh_token', refresh_token: refreshToken };
  return call(emulator.upstream.oauthTokenUrl, { body });
}

t.test('issues logins with the claims that Codex reads', async (t) => {
  const now = () => Date.parse('2026-11-20T21:30:36Z');
  const emulator = await start(t, { now, accessTokenLifetimeSeconds: 60 });
  const login = emulator.issueLogin({ accountId: 'acc', userId: 'u', fedramp: true, email: 'a@b' });
  t.same(login.authJson.tokens, {
    id_token: login.authJson.tokens.id_token,
    access_token: login.accessToken,
    refresh_token: login.refreshToken,
    account_id: 'acc',
  });
  t.equal(login.authJson.last_refresh, '2026-11-20T21:30:36Z');
  for (const token of [login.accessToken, login.authJson.tokens.id_token]) {
    t.match(decodeJwt(token), {
      email: 'a@b',
      exp: now() / 1000 + 60,
      'https://api.openai.com/auth': {
        chatgpt_account_id: 'acc',
        chatgpt_user_id: 'u',
        chatgpt_plan_type: 'pro',
        chatgpt_account_is_fedramp: true,
      },
    });
  }
});

t.test('rotates refresh tokens and refuses a used one', async (t) => {
  const emulator = await start(t);
  const login = emulator.issueLogin();
  const first = await refresh(emulator, login.refreshToken);
  t.equal(first.status, 200);
  t.not(first.body.refresh_token, login.refreshToken);
  const headers = {
    ...bearerHeaders(login),
    authorization: `Bearer ${String(first.body.access_token)}`,
  };
  t.equal((await call(emulator.url + USAGE, { headers })).status, 200);

  const reused = await refresh(emulator, login.refreshToken);
  t.equal(reused.status, 401);
  t.match(reused.body, { error: { code: 'refresh_token_reused' } });
  t.equal((await refresh(emulator, first.body.refresh_token)).status, 200);
});

t.test('refuses unknown refresh tokens and bodies of another shape', async (t) => {
  const emulator = await start(t);
  const unknown = await refresh(emulator, 'made-up');
  t.equal(unknown.status, 401);
  t.match(unknown.body, { error: { code: 'refresh_token_invalidated' } });
  const bad = await call(emulator.upstream.oauthTokenUrl, { body: { refresh_token: 'x' } });
  t.equal(bad.status, 400);
  t.match(bad.text, /grant_type is missing/);
  const half = { grant_type: 'refresh_token', refresh_token: 'x' };
  const incomplete = await call(emulator.upstream.oauthTokenUrl, { body: half });
  t.match(incomplete.text, /client_id is missing/);
});

t.test('a reused refresh token ends its family where the backend is strict', async (t) => {
  const emulator = await start(t);
  emulator.settings.revokeFamilyOnReuse = true;
  const login = emulator.issueLogin();
  const other = emulator.issueLogin();
  const { body } = await refresh(emulator, login.refreshToken);
  t.equal((await refresh(emulator, login.refreshToken)).status, 401);
  t.equal((await refresh(emulator, body.refresh_token)).status, 401, 'the living one is gone');
  t.equal((await refresh(emulator, other.refreshToken)).status, 200, 'another sign-in is not');
  const { refreshUses, ...registered } = emulator.counts();
  t.equal(refreshUses.get(login.refreshToken), 2);
  t.strictSame(registered, { agents: 0, tasks: 0, instances: 0 });
});

t.test('revokes a login', async (t) => {
  const emulator = await start(t);
  const login = emulator.issueLogin();
  const body = { token: login.refreshToken, token_type_hint: 'refresh_token' };
  t.equal((await call(emulator.upstream.oauthRevokeUrl, { body })).status, 200);
  t.equal((await refresh(emulator, login.refreshToken)).status, 401);
  const headers = bearerHeaders(login);
  t.equal((await call(emulator.url + USAGE, { headers })).status, 401);
});

t.test('expires access tokens but not the login', async (t) => {
  const emulator = await start(t);
  const login = emulator.issueLogin();
  emulator.expireAccessTokens();
  const headers = bearerHeaders(login);
  t.equal((await call(emulator.url + USAGE, { headers })).status, 401);
  t.equal((await refresh(emulator, login.refreshToken)).status, 200);
});
