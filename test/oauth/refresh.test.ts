import t, { type Test } from 'tap';
import { Agent } from 'undici';
import { createHttpClient } from '../../src/http-client.ts';
import {
  CODEX_CLIENT_ID,
  type OAuthEndpoints,
  RefreshError,
  refreshTokens,
  revokeToken,
} from '../../src/oauth/token-endpoint.ts';
import { Secret } from '../../src/secret.ts';
import { type Reaction, startRecordingServer } from '../helpers/recording-server.ts';

async function start(t: Test, ...reactions: [Reaction, ...Reaction[]]) {
  const server = await startRecordingServer(t, ...reactions);
  const agent = new Agent();
  t.teardown(() => agent.destroy());
  const endpoints: OAuthEndpoints = {
    tokenUrl: `${server.url}/oauth/token`,
    revokeUrl: `${server.url}/oauth/revoke`,
    clientId: CODEX_CLIENT_ID,
    http: createHttpClient(agent, 'codex-auth-sidecar/test'),
  };
  return { server, endpoints, refresh: () => refreshTokens(endpoints, new Secret('rt-hush')) };
}

async function refreshError(act: () => Promise<unknown>): Promise<RefreshError> {
  try {
    await act();
  } catch (error) {
    if (error instanceof RefreshError) return error;
    throw error;
  }
  throw new Error('nothing was thrown');
}

t.test('asks as Codex does and reads what is there', async (t) => {
  const body = JSON.stringify({ id_token: 'i', access_token: 'a', refresh_token: 'r', scope: 's' });
  const { server, refresh } = await start(t, { body });
  const { idToken, accessToken, refreshToken } = await refresh();
  t.strictSame(
    [idToken, accessToken, refreshToken].map((token) => token?.reveal()),
    ['i', 'a', 'r'],
  );
  const [request] = server.requests;
  t.equal(`${request?.method} ${request?.path}`, 'POST /oauth/token');
  t.strictSame(JSON.parse(request?.body ?? ''), {
    client_id: 'app_EMoamEEZ73f0CkXaXp7hrann',
    grant_type: 'refresh_token',
    refresh_token: 'rt-hush',
  });
});

t.test('each token may be absent', async (t) => {
  const { refresh } = await start(t, { body: '{"access_token":"","id_token":7}' });
  t.strictSame(await refresh(), { idToken: null, accessToken: null, refreshToken: null });
});

const REFUSALS: [status: number, body: unknown, permanent: boolean, reason: string][] = [
  [400, { error: { code: 'refresh_token_expired' } }, true, 'refresh_token_expired'],
  [400, { error: 'refresh_token_reused' }, true, 'refresh_token_reused'],
  [403, { code: 'refresh_token_invalidated' }, true, 'refresh_token_invalidated'],
  [400, { error: 'invalid_grant' }, true, 'invalid_grant'],
  [401, {}, true, 'status 401'],
  [401, { error: { code: 'something_new' } }, true, 'something_new'],
  [400, { error: { code: 'something_new' } }, false, 'something_new'],
  [400, { error: { message: 'refresh_token_expired' } }, false, 'status 400'],
  [429, {}, false, 'status 429'],
  [500, '<html>', false, 'status 500'],
  [302, '', false, 'status 302'],
  [400, { error: 'hush hush' }, false, 'status 400'],
];

for (const [status, body, permanent, reason] of REFUSALS) {
  const text = typeof body === 'string' ? body : JSON.stringify(body);
  t.test(`${status} ${text} is ${permanent ? 'the end of the login' : 'transient'}`, async (t) => {
    const { server, refresh } = await start(t, { status, body: text });
    const error = await refreshError(refresh);
    t.equal(error.permanent, permanent);
    t.equal(error.message, `the token endpoint refused the refresh: ${reason}`);
    t.notMatch(error.message, 'hush');
    t.equal(server.requests.length, 1, 'a refresh token works once, so it is sent once');
  });
}

t.test('an answer that is no JSON object gives no tokens', async (t) => {
  for (const body of ['', 'hush', '[]', 'null']) {
    const { refresh } = await start(t, { body });
    const error = await refreshError(refresh);
    t.equal(error.permanent, false);
    t.notMatch(error.message, 'hush');
  }
});

t.test('a request that may have arrived is not sent again', async (t) => {
  const { server, refresh } = await start(t, 'close');
  const error = await refreshError(refresh);
  t.equal(error.permanent, false);
  t.equal(server.requests.length, 1);
});

t.test('one that never left is', async (t) => {
  for (const code of [
    'ECONNREFUSED',
    'ENOTFOUND',
    'EAI_AGAIN',
    'UND_ERR_CONNECT_TIMEOUT',
    'CERT_HAS_EXPIRED',
  ]) {
    const { endpoints } = await start(t, 'close');
    let calls = 0;
    const http: OAuthEndpoints['http'] = async () => {
      calls += 1;
      if (calls < 3) throw Object.assign(new Error('hush'), { code });
      return { status: 200, headers: {}, text: '{"access_token":"a"}' };
    };
    const { accessToken } = await refreshTokens({ ...endpoints, http }, new Secret('rt'));
    t.equal(accessToken?.reveal(), 'a', code);
    t.equal(calls, 3);
  }
});

t.test('three times at most', async (t) => {
  const { endpoints } = await start(t, 'close');
  let calls = 0;
  const http: OAuthEndpoints['http'] = async () => {
    calls += 1;
    throw Object.assign(new Error('refused'), { code: 'ECONNREFUSED' });
  };
  const error = await refreshError(() => refreshTokens({ ...endpoints, http }, new Secret('rt')));
  t.equal(calls, 3);
  t.equal(error.permanent, false);
});

t.test('several addresses count as one that never left only if none was reached', async (t) => {
  const { endpoints } = await start(t, 'close');
  const refused = Object.assign(new Error('refused'), { code: 'ECONNREFUSED' });
  const reset = Object.assign(new Error('reset'), { code: 'ECONNRESET' });
  for (const [errors, expected] of [
    [[refused, refused], 3],
    [[refused, reset], 1],
  ] as const) {
    let calls = 0;
    const http: OAuthEndpoints['http'] = async () => {
      calls += 1;
      throw new AggregateError(errors);
    };
    await refreshError(() => refreshTokens({ ...endpoints, http }, new Secret('rt')));
    t.equal(calls, expected);
  }
});

t.test('revokes a token, and says when it was not', async (t) => {
  const { server, endpoints } = await start(t, { body: '' }, { status: 500, body: 'hush' });
  await revokeToken(endpoints, new Secret('rt-hush'));
  t.equal(server.requests[0]?.path, '/oauth/revoke');
  t.strictSame(JSON.parse(server.requests[0]?.body ?? ''), {
    client_id: CODEX_CLIENT_ID,
    token: 'rt-hush',
    token_type_hint: 'refresh_token',
  });
  await t.rejects(revokeToken(endpoints, new Secret('rt')), {
    message: 'the revocation endpoint answered 500',
  });
});
