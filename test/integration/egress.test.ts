import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import { FileAuthStore } from '../../src/auth-store/file-store.ts';
import { logout } from '../../src/commands/logout/index.ts';
import { type Emulator, startEmulator } from '../../src/emulator/index.ts';
import { readSettings } from '../../src/sidecar/settings.ts';
import {
  type GivenCredential,
  identityToken,
  login,
  loginWithIdentity,
  personalAccessToken,
} from '../helpers/credentials.ts';
import { send } from '../helpers/exchange.ts';
import {
  MODELS,
  makeFolder,
  RESPONSES,
  startSidecarInFrontOf,
  startTestSidecar,
} from '../helpers/sidecar.ts';
import { startUpstream } from '../helpers/upstream.ts';
import { tryUpgrade } from '../helpers/websocket.ts';

/** Every configured origin answers with a redirect to one that is not, and model routes with 401. */
async function start(t: Test) {
  const elsewhere = await startUpstream(t, (_request, response) => response.end('{}'));
  const location = `${elsewhere.origin}/target`;
  const configured = await startUpstream(t, ({ url = '' }, response) => {
    if (url.startsWith('/backend-api/codex/')) response.writeHead(401).end();
    else response.writeHead(307, { location }).end('moved');
  });
  const { origin } = configured;
  const upstream = {
    chatgptBaseUrl: `${origin}/backend-api`,
    openaiBaseUrl: `${origin}/v1`,
    authApiBaseUrl: `${origin}/api/accounts`,
    oauthTokenUrl: `${origin}/oauth/token`,
    oauthRevokeUrl: `${origin}/oauth/revoke`,
    proxy: null,
  };
  const asked = (path: string) => configured.requests.some(({ url }) => url === path);
  return { elsewhere, configured, location, upstream, asked };
}

const CALLS: [string, (emulator: Emulator) => GivenCredential, endpoint: string][] = [
  ['an agent registration', loginWithIdentity, '/api/accounts/v1/agent/register'],
  ['the JWKS', identityToken, '/backend-api/wham/agent-identities/jwks'],
  ['whoami', personalAccessToken, '/api/accounts/v1/user-auth-credential/whoami'],
  ['a refresh', login, '/oauth/token'],
];

for (const [name, give, endpoint] of CALLS) {
  t.test(`a redirect of ${name} is not followed`, async (t) => {
    const { elsewhere, upstream, asked } = await start(t);
    const emulator = await startEmulator();
    t.teardown(() => emulator.close());
    const { authJson, env = {}, config } = give(emulator);
    const all = { ...config, upstream };
    const { url } = await startTestSidecar(t, { authJson, env, config: all });
    await send(url + RESPONSES, { method: 'POST' });
    t.ok(asked(endpoint), 'it was asked for');
    t.equal(elsewhere.connections, 0);
  });
}

t.test('a redirect of a revocation is not followed, and nothing is removed', async (t) => {
  const { elsewhere, upstream, asked } = await start(t);
  const emulator = await startEmulator();
  t.teardown(() => emulator.close());
  const codexHome = await makeFolder(t);
  const { authJson } = emulator.issueLogin();
  await writeFile(join(codexHome, 'auth.json'), JSON.stringify(authJson), { mode: 0o600 });
  const settings = await readSettings({}, null, { codexHome, upstream });
  await t.rejects(logout(new FileAuthStore(settings.codexHome), settings, true), {
    message: /nothing was removed: .*307/,
  });
  t.ok(asked('/oauth/revoke'));
  t.equal(elsewhere.connections, 0);
});

t.test('a redirect of an upgrade is handed on and not followed', async (t) => {
  const { elsewhere, configured, location, upstream } = await start(t);
  const routes = [{ methods: ['*'], path: '/backend-api/*', auth: 'bearer' }];
  const { url } = await startSidecarInFrontOf(t, configured.origin, {
    config: { upstream, routes },
  });
  const dialling = tryUpgrade(`${url}/backend-api/elsewhere`);
  const { socket } = await configured.nextUpgrade();
  socket.end(`HTTP/1.1 302 Found\r\nlocation: ${location}\r\ncontent-length: 0\r\n\r\n`);
  const answer = await dialling;
  t.equal(answer.status, 302);
  t.equal(answer.headers.location, location);
  t.equal(elsewhere.connections, 0);
});

t.test('a name that is put elsewhere in the request target reaches nobody', async (t) => {
  const { elsewhere, configured, upstream } = await start(t);
  const { url } = await startSidecarInFrontOf(t, configured.origin, { config: { upstream } });
  const { host } = new URL(elsewhere.origin);
  for (const headers of [{ 'x-forwarded-host': host }, { forwarded: `host=${host}` }]) {
    await send(url + MODELS, { headers });
  }
  await send(`${url}//${host}/backend-api/codex/models`);
  t.equal(elsewhere.connections, 0);
  const { host: own } = new URL(configured.origin);
  t.ok(configured.requests.length >= 2);
  for (const request of configured.requests) t.equal(request.headers.host, own);
});
