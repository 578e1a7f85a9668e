import { readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { decodeJwt } from 'jose';
import t, { type Test } from 'tap';
import { startEmulator } from '../../src/emulator/index.ts';
import { makeFolder, run } from '../helpers/program.ts';
import { startTestSidecar } from '../helpers/sidecar.ts';

const LOGIN = ['--write', '--login', '--token-file', '-'];

async function setUp(t: Test) {
  const emulator = await startEmulator();
  t.teardown(() => emulator.close());
  const { url } = await startTestSidecar(t, {
    authJson: emulator.issueLogin({ planType: 'plus' }).authJson,
    config: { upstream: { ...emulator.upstream, proxy: null } },
  });
  const home = await makeFolder(t);
  const path = join(home, 'auth.json');
  const configure = (args: string[] = [...LOGIN, '--url', url]) =>
    run(t, ['codex-config', ...args], { CODEX_HOME: home }, { input: 'client-token\n' });
  return {
    emulator,
    url,
    home,
    path,
    configure,
    read: () => JSON.parse(readFileSync(path, 'utf8')),
  };
}

t.test('--login signs Codex in to the sidecar, with the plan of the real account', async (t) => {
  const { url, home, path, configure, read } = await setUp(t);
  const { code, stdout, stderr } = await configure();
  t.equal(code, 0, stderr);
  t.match(stdout, `${path} now signs Codex in to ${url}, and nowhere else`);
  t.equal(stderr, '');
  t.equal(statSync(path).mode & 0o777, 0o600);
  const { tokens, auth_mode } = read();
  t.equal(auth_mode, 'chatgpt');
  t.match(tokens, {
    access_token: 'client-token',
    refresh_token: 'client-token',
    account_id: 'sidecar',
    oauth_provenance: { issuer: url, client_id: 'sidecar' },
  });
  t.match(decodeJwt(tokens.id_token), {
    'https://api.openai.com/auth': { chatgpt_plan_type: 'plus' },
  });
  const toml = readFileSync(join(home, 'config.toml'), 'utf8');
  t.match(toml, `model_provider = "sidecar"\nchatgpt_base_url = "${url}/backend-api"\n`);
  t.match(toml, 'requires_openai_auth = false');
  t.match(toml, '\n[features]\napps = false\n');
  t.match(toml, '\n[otel]\nmetrics_exporter = "none"\n');
  t.equal((await configure()).code, 0, 'one of ours is replaced');
  t.match((await configure([...LOGIN.slice(0, 2), '--url', url])).code, 0, 'its token is kept');
});

t.test('an existing base URL is changed in place', async (t) => {
  const { url, home, configure } = await setUp(t);
  const config = join(home, 'config.toml');
  writeFileSync(
    config,
    '# mine\nchatgpt_base_url = "https://other.example"\nmodel = "x"\n[features]\nweb = true\n',
  );
  t.equal((await configure()).code, 0);
  const toml = readFileSync(config, 'utf8');
  t.match(toml, '# mine\n');
  t.match(toml, `chatgpt_base_url = "${url}/backend-api"`);
  t.notMatch(toml, 'other.example');
  t.match(toml, /\[features\]\nweb = true\napps = false\n/);
});

t.test('metrics go nowhere, unless somebody has chosen where', async (t) => {
  const { home, configure } = await setUp(t);
  const config = join(home, 'config.toml');
  const own =
    '[otel]\nlog_user_prompt = false\nmetrics_exporter = { otlp-http = { endpoint = "http://a" } }\n';
  const cases: [before: string, after: RegExp][] = [
    ['[otel]\nmetrics_exporter = "statsig"\n', /\[otel\]\nmetrics_exporter = "none"\n/],
    [
      '[otel]\n# mine\nenvironment = "x"\n',
      /# mine\nenvironment = "x"\nmetrics_exporter = "none"\n/,
    ],
    [own, /metrics_exporter = \{ otlp-http/],
  ];
  for (const [before, after] of cases) {
    writeFileSync(config, before);
    const { code, stderr } = await configure();
    t.equal(code, 0, stderr);
    const toml = readFileSync(config, 'utf8');
    t.match(toml, after);
    t.equal(toml.match(/metrics_exporter/g)?.length, 1);
    t.match(toml, 'apps = false');
  }
});

t.test('a login that is not one of ours is never replaced, and nothing is written', async (t) => {
  const { emulator, home, path, configure } = await setUp(t);
  const { authJson } = emulator.issueLogin();
  const phantom = {
    ...authJson,
    tokens: { ...authJson.tokens, oauth_provenance: { issuer: 'x', client_id: 'sidecar' } },
  };
  const others = [
    authJson,
    { OPENAI_API_KEY: 'sk-1' },
    { agent_identity: 'x.y.z' },
    phantom,
    'no JSON',
  ];
  for (const other of others) {
    const text = typeof other === 'string' ? other : JSON.stringify(other);
    writeFileSync(path, text, { mode: 0o600 });
    const { code, stderr } = await configure();
    t.equal(code, 1);
    t.match(
      stderr,
      /holds a login of its own, which stays; sign out there with "CODEX_HOME=.* codex logout"/,
    );
    t.equal(readFileSync(path, 'utf8'), text);
    t.strictSame(readdirSync(home), ['auth.json']);
  }
});

t.test('a sidecar that is not up leaves the plan open, and it is said', async (t) => {
  const { configure, read } = await setUp(t);
  const { code, stderr } = await configure([...LOGIN, '--url', 'http://127.0.0.1:1']);
  t.equal(code, 0);
  t.match(stderr, /did not say its plan/);
  const auth = decodeJwt(read().tokens.id_token)['https://api.openai.com/auth'] as object;
  t.notOk('chatgpt_plan_type' in auth);
  const alone = await configure(['--login', '--token-file', '-']);
  t.equal(alone.code, 2);
  t.match(alone.stderr, '--login goes with --write');
});
