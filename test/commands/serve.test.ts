import { mkdir, open, readFile, writeFile } from 'node:fs/promises';
import { type AddressInfo, createServer } from 'node:net';
import { join } from 'node:path';
import t from 'tap';
import { call, RESPONSES, start as startBackend } from '../emulator/client.ts';
import { makeFile, makeFolder, run, serve, start } from '../helpers/program.ts';

t.jobs = 2;

const TURN = { input: [] };

t.test('--server-info says where it listens', async (t) => {
  const path = join(await makeFolder(t), 'info.json');
  const { program, url } = await serve(t, ['--server-info', path]);
  const { port } = new URL(url);
  const text = await readFile(path, 'utf8');
  t.equal(text, `${JSON.stringify({ port: Number(port), socket: null, pid: program.pid, url })}\n`);
});

t.test('whoever reads an older --server-info file reads it to its end', async (t) => {
  const path = await makeFile(t, 'info.json', 'of the sidecar before');
  const reader = await open(path);
  t.teardown(() => reader.close());
  const { program } = await serve(t, ['--server-info', path]);
  t.equal(await reader.readFile('utf8'), 'of the sidecar before');
  t.match(JSON.parse(await readFile(path, 'utf8')), { pid: program.pid });
});

t.test('a --server-info file that cannot be written ends it', async (t) => {
  const { code, stderr } = await run(t, ['serve', '--port=0', '--server-info', '/nonexistent/x']);
  t.equal(code, 1);
  t.equal(stderr, 'codex-auth-sidecar: --server-info: cannot write /nonexistent/x (ENOENT)\n');
});

t.test('a port that is taken', async (t) => {
  const other = createServer().listen(0, '127.0.0.1');
  t.teardown(() => void other.close());
  await new Promise((resolve) => other.once('listening', resolve));
  const { port } = other.address() as AddressInfo;
  const { code, stdout, stderr } = await run(t, ['serve', `--port=${port}`]);
  t.equal(code, 1);
  t.equal(stdout, '');
  t.equal(
    stderr,
    `codex-auth-sidecar: 127.0.0.1:${port} is taken by another process; choose another with --port\n`,
  );
});

t.test('a host that is not of this machine', async (t) => {
  const tokens = await makeFile(t, 'tokens', `agent:${'0'.repeat(64)}\n`);
  const { code, stderr } = await run(t, ['serve', '--host', '192.0.2.1', '--port=0'], {
    SIDECAR_CLIENT_TOKENS_FILE: tokens,
  });
  t.equal(code, 1);
  t.equal(stderr, 'codex-auth-sidecar: cannot listen on 192.0.2.1:0 (EADDRNOTAVAIL)\n');
});

t.test('without a login it starts, says so, and takes one up when it comes', async (t) => {
  const backend = await startBackend(t);
  const codexHome = await makeFolder(t);
  const config = await makeFile(t, 'config.json', {
    codexHome,
    upstream: { ...backend.upstream, proxy: null },
  });
  const { program, url } = await serve(t, ['--config', config]);

  const status = await call(`${url}/auth/status`);
  t.equal(status.status, 503);
  t.match(status.body, { status: 'unauthenticated', authMode: null });
  t.match(await call(`${url}/readyz`), { status: 503, body: { status: 'unauthenticated' } });
  const refused = await call(url + RESPONSES, { body: TURN });
  t.equal(refused.status, 400);
  t.equal(refused.headers['x-sidecar-error'], 'AUTH_NOT_CONFIGURED');
  t.match(refused.body, { error: { code: 'AUTH_NOT_CONFIGURED', message: /login/ } });
  t.equal(backend.records.length, 0);

  const login = JSON.stringify(backend.issueLogin().authJson);
  await writeFile(join(codexHome, 'auth.json'), login, { mode: 0o600 });
  const accepted = await call(url + RESPONSES, { body: TURN });
  t.equal(accepted.status, 200);
  t.match(accepted.text, 'response.completed');
  t.match(backend.records, [{ path: RESPONSES, auth: { kind: 'bearer', verified: true } }]);
  t.equal((await call(`${url}/readyz`)).status, 200);
  t.equal(program.stderr, '');
});

t.test('a login that others can read is a warning', async (t) => {
  const codexHome = await makeFolder(t);
  const path = join(codexHome, 'auth.json');
  await writeFile(path, '{}', { mode: 0o644 });
  const { program } = await serve(t, [], { CODEX_HOME: codexHome });
  const line = await program.logged(`${path} can be read by other users; run: chmod 600 ${path}`);
  t.equal(line.level, 'warn');
});

t.test(
  'where no lock can be had, a login is refreshed without one, and the status says so',
  async (t) => {
    const backend = await startBackend(t);
    const codexHome = await makeFolder(t);
    // What is a folder cannot be opened as a lock.
    await mkdir(join(codexHome, 'auth.lock'));
    const path = join(codexHome, 'auth.json');
    await writeFile(path, JSON.stringify(backend.issueLogin().authJson), { mode: 0o600 });
    const config = await makeFile(t, 'config.json', {
      codexHome,
      upstream: { ...backend.upstream, proxy: null },
    });
    const { program, url } = await serve(t, ['--config', config]);
    backend.expireAccessTokens();
    t.equal((await call(url + RESPONSES, { body: TURN })).status, 200);
    const { body } = await call(`${url}/auth/status`);
    t.match(body, {
      status: 'degraded',
      store: { lastError: /is used without a lock: cannot open / },
    });
    t.match(await program.logged(`${path} cannot be locked; going on without`), { level: 'warn' });

    const input = 'sk-of-a-test';
    const login = await run(t, ['login', '--with-api-key', '--config', config], {}, { input });
    t.equal(login.code, 0);
    t.match(login.stderr, `${path} cannot be locked; going on without: cannot open `);
  },
);

t.test('log.levelNames chooses how levels are named', async (t) => {
  const words = await serve(t);
  t.match(await words.program.logged('listening'), { level: 'info' });
  const numbers = await serve(t, [], { SIDECAR_LOG_LEVEL_NAMES: 'numbers' });
  t.match(await numbers.program.logged('listening'), { level: 30 });
});

t.test('the start line names address, credential and policy', async (t) => {
  const { program, url } = await serve(t, [], {
    CODEX_API_KEY: 'sk-test',
    SIDECAR_AGENT_IDENTITY_POLICY: 'chatgptAuth',
  });
  t.match(await program.logged('listening'), {
    url,
    credential: 'apikey',
    credentialSource: 'CODEX_API_KEY',
    policy: 'chatgptAuth',
  });
  const none = await serve(t);
  t.match(await none.program.logged('listening'), { credential: null, credentialSource: null });
});

const isJson = (line: string) => line.startsWith('{');
const FORMS: [args: string[], terminal: boolean, json: boolean][] = [
  [[], false, true],
  [['--pretty'], false, false],
  [[], true, false],
  [['--no-pretty'], true, true],
];

for (const [args, terminal, json] of FORMS) {
  const where = `${terminal ? 'a terminal' : 'a pipe'} ${args.join()}`;
  t.test(`${where}: ${json ? 'JSON' : 'text for people'}`, async (t) => {
    const program = start(t, ['serve', '--port=0', ...args], {}, { terminal });
    t.equal(isJson(await program.line((text) => text.includes('listening'))), json);
  });
}
