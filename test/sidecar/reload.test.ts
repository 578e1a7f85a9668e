import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import { startEmulator } from '../../src/emulator/index.ts';
import { closeOf, open } from '../helpers/exchange.ts';
import { serveProgram } from '../helpers/recovery-program.ts';
import { RESPONSES } from '../helpers/sidecar.ts';
import { ask, getModels, Home, infer, lastTask } from '../helpers/sidecar-with-clock.ts';

const TOKENS = `agent:${createHash('sha256').update('hush').digest('hex')}\n`;

/** Reachable from elsewhere, so with tokens. */
function guarded(folder: string) {
  const tokensFile = join(folder, 'tokens');
  writeFileSync(tokensFile, TOKENS);
  return { listen: { host: '0.0.0.0' }, clients: { tokensFile } };
}

async function setUp(t: Test, first: (folder: string) => object = () => ({})) {
  const emulator = await startEmulator();
  t.teardown(() => emulator.close());
  const home = new Home(t);
  const path = join(home.folder, 'config.json');
  const upstream = { ...emulator.upstream, proxy: null };
  const configure = (more: object) =>
    writeFileSync(path, JSON.stringify({ codexHome: home.folder, upstream, ...more }));
  configure(first(home.folder));
  home.write(emulator.issueLogin().authJson);
  const served = await serveProgram(t, ['--config', path], {});
  const reload = (headers: Record<string, string> = {}) =>
    ask(`${served.url}/auth/reload`, { method: 'POST', headers });
  return { emulator, home, path, configure, served, reload };
}

t.test('SIGHUP and POST /auth/reload put a new configuration in force', async (t) => {
  const { emulator, configure, served, reload } = await setUp(t);
  t.equal((await infer(served)).status, 200);
  t.equal(emulator.records.at(-1)?.auth.kind, 'bearer');
  configure({ agentIdentity: { policy: 'chatgptAuth' }, log: { level: 'debug' } });
  const said = served.logged('"msg":"reloaded"');
  served.signal('SIGHUP');
  t.match(await said, '"restartNeededFor":["log"]');
  t.equal((await infer(served)).status, 200);
  t.equal(emulator.records.at(-1)?.auth.kind, 'assertion');
  configure({ routes: [] });
  const answer = await reload();
  t.equal(answer.status, 200);
  t.strictSame(JSON.parse(answer.text), { reloaded: true, restartNeededFor: [] });
  t.equal((await getModels(served)).code, 'AUTH_ROUTE_DENIED');
});

t.test('a reload of the file ends what is open on a route that it denies', async (t) => {
  const { emulator, configure, served, reload } = await setUp(t);
  emulator.addFault({ path: RESPONSES, times: 1, action: 'stall' });
  const url = served.url + RESPONSES;
  const call = open(url, { method: 'POST', headers: { 'content-type': 'application/json' } });
  call.request.end('{"model":"m","input":"hi"}');
  const response = await call.response;
  await once(response, 'data');
  const closed = closeOf(response);
  configure({ routes: [{ path: '/backend-api/codex/models', methods: ['GET'], auth: 'bearer' }] });
  t.equal((await reload()).status, 200);
  await closed;
  t.notOk(response.complete, 'cut');
  t.equal((await infer(served)).code, 'AUTH_ROUTE_DENIED');
  t.equal((await getModels(served)).status, 200);
});

t.test('a reload changes what a rejected run task leads to', async (t) => {
  const policy = 'chatgptAuth';
  const { emulator, configure, served, reload } = await setUp(t);
  configure({ agentIdentity: { policy, onTaskRejected: 'error' } });
  t.equal((await reload()).status, 200);
  t.equal((await infer(served)).status, 200);
  emulator.revokeTask(lastTask(emulator));
  t.equal((await infer(served)).status, 401);
  configure({ agentIdentity: { policy } });
  t.equal((await reload()).status, 200);
  t.equal((await infer(served)).status, 200, 'a new task');
  emulator.revokeTask(lastTask(emulator));
  configure({ agentIdentity: { policy, onTaskRejected: 'error' } });
  t.equal((await reload()).status, 200);
  t.equal((await infer(served)).status, 401);
});

t.test('a configuration that cannot be used keeps the old one and says why', async (t) => {
  const { path, served, reload } = await setUp(t);
  writeFileSync(path, '{"limits":{"bodyBites":1}}');
  const answer = await reload();
  t.equal(answer.status, 400);
  t.equal(answer.code, 'SIDECAR_CONFIG_INVALID');
  t.match(answer.text, 'did you mean');
  const said = served.logged('not reloaded, the old settings stay');
  served.signal('SIGHUP');
  await said;
  t.equal((await getModels(served)).status, 200);
});

t.test('a credential that cannot be used keeps all that was, and says why', async (t) => {
  const { emulator, home, configure, served, reload } = await setUp(t);
  t.equal((await getModels(served)).status, 200);
  const tokensFile = join(home.folder, 'tokens');
  writeFileSync(tokensFile, TOKENS);
  configure({ routes: [], clients: { tokensFile }, agentIdentity: { policy: 'chatgptAuth' } });
  writeFileSync(home.path, '{"tokens":');
  const answer = await reload();
  t.equal(answer.code, 'AUTH_CREDENTIAL_INVALID');
  t.equal((await infer(served)).status, 200);
  t.equal(emulator.records.at(-1)?.auth.kind, 'bearer');
  home.write(emulator.issueLogin().authJson);
  t.equal((await reload()).status, 200);
  t.equal((await getModels(served)).code, 'AUTH_CLIENT_TOKEN');
});

t.test('a login that somebody stores is used without being told', async (t) => {
  const { emulator, home, served } = await setUp(t);
  await getModels(served);
  const { authJson, accountId } = emulator.issueLogin();
  const said = served.logged('credential loaded');
  home.write(authJson);
  await said;
  t.equal((await getModels(served)).status, 200);
  t.equal(emulator.records.at(-1)?.headers['chatgpt-account-id'], accountId);
});

t.test('client tokens: a reload needs one, and brings new ones in', async (t) => {
  const { home, configure, reload } = await setUp(t);
  const tokensFile = join(home.folder, 'tokens');
  writeFileSync(tokensFile, TOKENS);
  configure({ clients: { tokensFile } });
  t.equal((await reload()).status, 200);
  t.equal((await reload()).code, 'AUTH_CLIENT_TOKEN');
  t.equal((await reload({ authorization: 'Bearer hush' })).status, 200);
});

for (const [name, listen] of [
  ['host', { host: '127.0.0.1' }],
  ['socket', { socket: 'sidecar.sock' }],
] as const) {
  t.test(`a listener that is bound stays guarded when its ${name} changes`, async (t) => {
    const { served, configure, home } = await setUp(t, guarded);
    const socket = 'socket' in listen ? { socket: join(home.folder, listen.socket) } : listen;
    configure({ listen: socket });
    const said = served.logged('not reloaded, the old settings stay');
    served.signal('SIGHUP');
    t.match(await said, 'listen.host 0.0.0.0 is not loopback');
    t.equal((await getModels(served)).code, 'AUTH_CLIENT_TOKEN');
  });
}

const REFUSED: [what: string, clients: (folder: string) => object, code: string][] = [
  ['its configuration', () => ({}), 'SIDECAR_CONFIG_INVALID'],
  [
    'its credential',
    (folder) => {
      const tokensFile = join(folder, 'other');
      writeFileSync(tokensFile, TOKENS);
      return { tokensFile };
    },
    'AUTH_CREDENTIAL_INVALID',
  ],
];
for (const [what, clients, code] of REFUSED) {
  t.test(`a reload that is refused for ${what} leaves the tokens file watched`, async (t) => {
    const { served, configure, home, reload } = await setUp(t, guarded);
    configure({ listen: { host: '0.0.0.0' }, clients: clients(home.folder) });
    writeFileSync(home.path, '{"tokens":');
    const refused = await reload({ authorization: 'Bearer hush' });
    t.equal(refused.code, code);
    const said = served.logged('"msg":"client tokens read again"');
    writeFileSync(join(home.folder, 'tokens'), '');
    await said;
    t.equal((await reload({ authorization: 'Bearer hush' })).code, 'AUTH_CLIENT_TOKEN');
  });
}

t.test('a reload whose configuration lost the tokens file changes nothing', async (t) => {
  const { configure, served, reload } = await setUp(t, (folder) => ({
    ...guarded(folder),
    listen: {},
  }));
  configure({});
  const answer = await reload({ authorization: 'Bearer hush' });
  t.equal(answer.status, 400);
  t.match(answer.text, 'clients.tokensFile is gone');
  const refused = served.logged('not reloaded, the old settings stay');
  served.signal('SIGHUP');
  t.match(await refused, 'clients.tokensFile is gone');
  t.equal((await getModels(served)).code, 'AUTH_CLIENT_TOKEN');
});

t.test('what a reload opens is logged', async (t) => {
  const { configure, served, reload } = await setUp(t);
  configure({ clients: { allowedHosts: ['sidecar.example'] } });
  const line = served.logged('clients.allowedHosts now allows sidecar.example');
  t.equal((await reload()).status, 200);
  t.match(await line, '"level":"warn"');
});
