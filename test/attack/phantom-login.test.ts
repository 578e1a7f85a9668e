import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { readFile, writeFile } from 'node:fs/promises';
import { connect } from 'node:net';
import { join } from 'node:path';
import { decodeJwt } from 'jose';
import t, { type Test } from 'tap';
import { startEmulator } from '../../src/emulator/index.ts';
import { send } from '../helpers/exchange.ts';
import { makeFolder, startTestSidecar } from '../helpers/sidecar.ts';

const FORM = { 'content-type': 'application/x-www-form-urlencoded' };
const JSON_TYPE = { 'content-type': 'application/json' };

/** A sidecar with a token of each kind, called by the name of what limits it. */
async function setUp(t: Test) {
  const emulator = await startEmulator();
  t.teardown(() => emulator.close());
  const folder = await makeFolder(t);
  const tokensFile = join(folder, 'tokens');
  const audit = join(folder, 'audit.log');
  const limits = {
    codex: ' for=codex',
    all: '',
    inference: ' for=inference',
    routes: ' routes=/backend-api/codex/*',
    named: ' routes=/oauth/token',
    expired: ' for=codex expires=2020-01-01T00:00:00Z',
  };
  const line = ([name, limit]: [string, string]) =>
    `${name}:${createHash('sha256').update(`token-of-${name}`).digest('hex')}${limit}\n`;
  await writeFile(tokensFile, Object.entries(limits).map(line).join(''));
  const login = emulator.issueLogin({ planType: 'plus', email: 'real@example.com' });
  const { url } = await startTestSidecar(t, {
    authJson: login.authJson,
    config: {
      clients: { tokensFile },
      log: { audit },
      upstream: { ...emulator.upstream, proxy: null },
    },
  });
  const ask = async (body: string, headers: Record<string, string>) => {
    const {
      status,
      headers: got,
      text,
    } = await send(`${url}/oauth/token`, {
      method: 'POST',
      headers,
      body,
    });
    return { status, code: got['x-sidecar-error'], text, json: JSON.parse(text) };
  };
  const refresh = (token: string, headers: Record<string, string> = {}) => {
    const fields = { client_id: 'sidecar', grant_type: 'refresh_token', refresh_token: token };
    return ask(JSON.stringify(fields), { ...JSON_TYPE, ...headers });
  };
  return { emulator, login, url, audit, ask, refresh };
}

t.test(
  'a client token comes back as it is, with the plan and nothing of the account',
  async (t) => {
    const { emulator, login, url, ask, refresh, audit } = await setUp(t);
    const early = await refresh('token-of-codex');
    t.equal(early.json.access_token, 'token-of-codex');
    t.notOk('id_token' in early.json, 'no plan is made up');
    while ((await send(`${url}/readyz`)).status !== 200);
    for (const name of ['codex', 'all', 'named']) {
      const { status, json } = await refresh(`token-of-${name}`);
      t.equal(status, 200, JSON.stringify(json));
      t.equal(json.access_token, `token-of-${name}`);
      t.equal(json.refresh_token, `token-of-${name}`);
      t.match(decodeJwt(json.id_token), {
        email: 'agent@sidecar.invalid',
        'https://api.openai.com/auth': { chatgpt_account_id: 'sidecar', chatgpt_plan_type: 'plus' },
      });
      for (const real of [login.accountId, login.userId, login.accessToken, 'real@example.com']) {
        t.notMatch(json.id_token + Buffer.from(json.id_token, 'base64').toString(), real);
      }
    }
    const form = 'grant_type=refresh_token&client_id=sidecar&refresh_token=token-of-codex';
    t.equal((await ask(form, FORM)).status, 200);
    t.equal(emulator.records.length, 0, 'the real login takes no part in it');
    const [entry = ''] = (await readFile(audit, 'utf8')).split('\n');
    t.match(JSON.parse(entry), { client: 'codex', path: '/oauth/token', status: 200 });
  },
);

t.test('whoever holds no token for it is told to give up', async (t) => {
  const { refresh, audit, login } = await setUp(t);
  const cases: [token: string, reason: RegExp][] = [
    ['made-up', /not known/],
    [login.refreshToken, /not known/],
    ['token-of-inference', /not allowed on this path/],
    ['token-of-routes', /not allowed on this path/],
    ['token-of-expired', /expired at 2020/],
  ];
  for (const [token, reason] of cases) {
    const { status, code, text, json } = await refresh(token);
    t.equal(status, 401, token);
    t.equal(code, 'AUTH_CLIENT_TOKEN');
    t.equal(json.error.code, 'refresh_token_invalidated');
    t.match(json.error.message, reason);
    t.notMatch(text, token);
  }
  // (Whatever a header has carried, no later response may hold.) The token in the header is not the one that is asked about.
  t.equal((await refresh('made-up', { 'x-sidecar-token': 'token-of-all' })).status, 401);
  const last = (await readFile(audit, 'utf8')).trim().split('\n')[4] ?? '';
  t.match(JSON.parse(last), { client: 'expired', status: 401, code: 'AUTH_CLIENT_TOKEN' });
});

t.test(
  "another client's token brings nothing but itself, in the name of that client",
  async (t) => {
    const { refresh, audit } = await setUp(t);
    // Its own token in every header that takes one, the other's in the body.
    const own = {
      authorization: 'Bearer token-of-inference',
      'x-sidecar-token': 'token-of-expired',
    };
    const { status, json, text } = await refresh('token-of-codex', own);
    t.equal(status, 200);
    t.equal(json.access_token, 'token-of-codex');
    t.equal(json.refresh_token, 'token-of-codex');
    t.notMatch(text, /token-of-(?!codex)/);
    const [entry = ''] = (await readFile(audit, 'utf8')).split('\n');
    t.match(JSON.parse(entry), { client: 'codex' });
    // What its owner may not, nobody may with it.
    t.equal((await refresh('token-of-routes', { 'x-sidecar-token': 'token-of-all' })).status, 401);
  },
);

t.test('pages and foreign names get nothing, whatever they send', async (t) => {
  const { refresh } = await setUp(t);
  const page = await refresh('token-of-codex', { origin: 'https://evil.example' });
  t.equal(page.code, 'AUTH_ORIGIN_NOT_ALLOWED');
  const sameSite = await refresh('token-of-codex', { 'sec-fetch-site': 'same-origin' });
  t.equal(sameSite.code, 'AUTH_ORIGIN_NOT_ALLOWED');
  const rebound = await refresh('token-of-codex', { host: 'evil.example' });
  t.equal(rebound.code, 'AUTH_HOST_NOT_ALLOWED');
});

t.test('nothing but a refresh is served', async (t) => {
  const { ask } = await setUp(t);
  const fields = { grant_type: 'refresh_token', refresh_token: 'token-of-codex' };
  const cases: [string, Record<string, string>][] = [
    ['{}', JSON_TYPE],
    ['[]', JSON_TYPE],
    ['{', JSON_TYPE],
    [JSON.stringify({ ...fields, grant_type: 'authorization_code' }), JSON_TYPE],
    [JSON.stringify({ ...fields, refresh_token: ['token-of-codex'] }), JSON_TYPE],
    [JSON.stringify(fields), { 'content-type': 'text/plain' }],
    [JSON.stringify({ ...fields, more: 'x'.repeat(20_000) }), JSON_TYPE],
  ];
  for (const [body, headers] of cases) {
    const { status, code } = await ask(body, headers);
    t.equal(status, 400, body.slice(0, 60));
    t.equal(code, 'AUTH_REQUEST_INVALID');
  }
});

t.test('a stolen phantom login is worth nothing at the backend', async (t) => {
  const { emulator } = await setUp(t);
  const used = await send(`${emulator.url}/backend-api/codex/models`, {
    headers: { authorization: 'Bearer token-of-codex', 'chatgpt-account-id': 'sidecar' },
  });
  t.equal(used.status, 401);
  const refreshed = await send(emulator.upstream.oauthTokenUrl, {
    method: 'POST',
    headers: JSON_TYPE,
    body: JSON.stringify({
      client_id: 'sidecar',
      grant_type: 'refresh_token',
      refresh_token: 'token-of-codex',
    }),
  });
  t.equal(refreshed.status, 401);
});

t.test('a body that breaks off harms nobody', async (t) => {
  const { url, refresh } = await setUp(t);
  const { hostname, port } = new URL(url);
  const socket = connect(Number(port), hostname);
  await once(socket, 'connect');
  const head = 'POST /oauth/token HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json';
  socket.write(`${head}\r\ncontent-length: 100\r\n\r\n{"grant_type":`);
  socket.destroy();
  await once(socket, 'close');
  t.equal((await refresh('made-up')).status, 401);
});
