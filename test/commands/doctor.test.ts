import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import { start as startBackend } from '../emulator/client.ts';
import { leaksIn } from '../helpers/leaks.ts';
import { makeFile, makeFolder, run, serve } from '../helpers/program.ts';

t.jobs = 2;

async function openScene(t: Test, upstream: object = {}) {
  const backend = await startBackend(t);
  const codexHome = await makeFolder(t);
  const login = backend.issueLogin();
  writeFileSync(join(codexHome, 'auth.json'), JSON.stringify(login.authJson), { mode: 0o600 });
  const config = await makeFile(t, 'config.json', {
    codexHome,
    upstream: { ...backend.upstream, proxy: null, ...upstream },
  });
  const env = { CODEX_HOME: codexHome, HOME: codexHome };
  return { backend, login, config, env, codexHome };
}

t.test('all is well but for what stands beside: exit code 0', async (t) => {
  const { backend, login, config, env } = await openScene(t);
  const { url } = await serve(t, ['--config', config], env);
  const { port } = new URL(url);
  const before = backend.records.length;
  const { code, stdout, stderr } = await run(
    t,
    ['doctor', '--config', config, '--port', port],
    env,
  );
  t.equal(code, 0, stdout);
  t.equal(stderr, '');
  const names = stdout
    .trimEnd()
    .split('\n')
    .map((line) => line.replace(/ {2,}.*| http.*/, ''));
  t.strictSame(names, [
    '✓ node',
    '✓ config',
    '! client tokens',
    '✓ authorities',
    '✓ auth.json',
    '✓ lock',
    '✓ credential',
    `✓ TCP ${new URL(backend.url).host}`,
    '✓ HTTP',
    '✓ clock',
    '! codex',
    '✓ listener',
    '! codex config',
    '! codex login',
  ]);
  for (const secret of [login.accessToken, login.refreshToken]) {
    t.strictSame(leaksIn(stdout, secret), []);
  }
  const sent = backend.records.slice(before).map(({ auth }) => auth.kind);
  t.ok(sent.length > 0 && sent.every((kind) => kind === 'none'), 'no credential left the machine');
});

t.test("the agent's home is looked at apart from the sidecar's", async (t) => {
  const { config, env, codexHome } = await openScene(t);
  const home = await makeFolder(t);
  const args = ['doctor', '--config', config, '--port', '1'];
  const url = 'http://127.0.0.1:1/backend-api/codex';
  writeFileSync(join(home, 'config.toml'), `openai_base_url = "${url}"\n`);
  const { stdout } = await run(t, [...args, '--agent-home', home], env);
  t.match(stdout, `codex config             ${home}/config.toml points at the sidecar`);
  t.match(stdout, `codex login              no login in ${home}\n`);
  t.match(stdout, `auth.json                ${codexHome}/auth.json\n`);
});

t.test('a failure: exit code 1, also as JSON', async (t) => {
  const { config, env } = await openScene(t, { chatgptBaseUrl: 'http://127.0.0.1:1/backend-api' });
  const { code, stdout, stderr } = await run(t, ['doctor', '--config', config, '--json'], env);
  t.equal(code, 1);
  t.equal(stderr, '');
  const failures = JSON.parse(stdout).filter(
    ({ outcome }: { outcome: string }) => outcome === 'failure',
  );
  t.match(failures, [{ check: 'TCP 127.0.0.1:1', message: /ECONNREFUSED/, remedy: String }]);
});

t.test('a configuration that cannot be used ends the look around, in ASCII', async (t) => {
  const { env } = await openScene(t);
  const args = ['doctor', '--config', await makeFile(t, 'config.json', { listn: {} })];
  const { code, stdout } = await run(t, args, { ...env, LC_ALL: 'C' });
  t.equal(code, 1);
  t.match(stdout, /^\+ node .*\nx config .*unknown key "listn".*; fix it.*\n! codex .*\n$/);
});
