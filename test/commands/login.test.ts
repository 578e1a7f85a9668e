import { mkdirSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import { startEmulator } from '../../src/emulator/index.ts';
import { runProgram } from '../helpers/recovery-program.ts';
import { Home } from '../helpers/sidecar-with-clock.ts';

const OLD = {
  auth_mode: 'chatgpt',
  OPENAI_API_KEY: null,
  tokens: { access_token: 'a' },
  last_refresh: 'then',
  personal_access_token: 'at-old',
  extra: { kept: [1, null] },
};

async function setUp(t: Test) {
  const emulator = await startEmulator();
  t.teardown(() => emulator.close());
  const home = new Home(t);
  const login = (args: string[], input = '') =>
    runProgram(['login', ...args], { CODEX_HOME: home.folder }, input);
  return { emulator, home, login };
}

t.test('each kind of token is stored alone, and everything unknown stays', async (t) => {
  const { emulator, home, login } = await setUp(t);
  const jwt = emulator.issueIdentityToken();
  const cases: [flag: string, token: string, stored: object][] = [
    ['--with-api-key', 'sk-1', { auth_mode: 'apikey', OPENAI_API_KEY: 'sk-1' }],
    [
      '--with-access-token',
      'at-1',
      { auth_mode: 'personalAccessToken', personal_access_token: 'at-1' },
    ],
    ['--with-access-token', jwt, { auth_mode: 'agentIdentity', agent_identity: jwt }],
    ['--with-agent-identity', jwt, { auth_mode: 'agentIdentity', agent_identity: jwt }],
  ];
  for (const [flag, token, stored] of cases) {
    home.write(OLD);
    const { code, stdout, stderr } = await login([flag], `  ${token}\n`);
    t.equal(code, 0, stderr);
    t.equal(stdout, `stored in ${home.path}\n`);
    t.strictSame(home.read(), { extra: OLD.extra, ...stored });
    t.equal(statSync(home.path).mode & 0o777, 0o600);
  }
});

t.test('a home that does not exist yet is made', async (t) => {
  const { home } = await setUp(t);
  const folder = join(home.folder, 'a', 'b');
  const { code } = await runProgram(['login', '--with-api-key'], { CODEX_HOME: folder }, 'sk-1');
  t.equal(code, 0);
  t.equal(statSync(folder).mode & 0o777, 0o700);
});

t.test('what cannot be used is refused, and the file stays as it was', async (t) => {
  const { emulator, home, login } = await setUp(t);
  home.write(OLD);
  const expired = emulator.issueIdentityToken({ expiresInSeconds: -60 });
  const jwt = emulator.issueIdentityToken();
  const cases: [flag: string, input: string, problem: RegExp, code: number][] = [
    ['--with-api-key', ' \n', /standard input holds no token/, 2],
    ['--with-api-key', 'sk 1', /OPENAI_API_KEY: holds a space/, 1],
    ['--with-access-token', 'not-a-jwt', /JWT/, 1],
    ['--with-agent-identity', 'at-1', /JWT/, 1],
    [
      '--with-api-key',
      'at-1',
      /standard input: holds a personal access token, but --with-api-key takes an API key; use --with-access-token$/m,
      1,
    ],
    ['--with-api-key', jwt, /holds a JWT, but .*; use --with-access-token$/m, 1],
    ['--with-api-key', '{"OPENAI_API_KEY":"sk-1"}', /holds JSON, but .*; use --import FILE$/m, 1],
    ['--with-access-token', 'sk-1', /holds an API key, but .*; use --with-api-key$/m, 1],
    [
      '--with-agent-identity',
      'at-1',
      /holds a personal access token, but --with-agent-identity takes a JWT; use --with-access-token$/m,
      1,
    ],
    ['--with-agent-identity', expired, /expired/, 1],
  ];
  for (const [flag, input, problem, code] of cases) {
    const outcome = await login([flag], input);
    t.equal(outcome.code, code, outcome.stderr);
    t.match(outcome.stderr, problem);
    t.equal(outcome.stderr.trim().split('\n').length, 1, 'one line');
    t.strictSame(home.read(), OLD);
  }
  t.equal((await login([])).code, 2);
  t.equal((await login(['--with-api-key', '--with-access-token'], 'x')).code, 2);
});

t.test('an API key with another beginning is stored, which is said', async (t) => {
  const { home, login } = await setUp(t);
  t.match(await login(['--with-api-key'], 'key-of-a-gateway'), {
    code: 0,
    stdout: `stored in ${home.path}; it does not begin with "sk-", as the API keys of OpenAI do\n`,
  });
  t.match(home.read(), { OPENAI_API_KEY: 'key-of-a-gateway' });
});

t.test('a login mends a file that cannot be used, but never one that is not JSON', async (t) => {
  const { home, login } = await setUp(t);
  home.write({ auth_mode: 'bedrockApiKey', extra: 1 });
  t.equal((await login(['--with-api-key'], 'sk-1')).code, 0);
  t.strictSame(home.read(), { auth_mode: 'apikey', OPENAI_API_KEY: 'sk-1', extra: 1 });
  writeFileSync(home.path, '{"auth_mode');
  const { code, stderr } = await login(['--with-api-key'], 'sk-1');
  t.equal(code, 1);
  t.match(stderr, 'auth.json: is not valid JSON; repair it, or move it away');
  t.equal(home.text(), '{"auth_mode');
});

t.test('--import takes a Codex auth.json over', async (t) => {
  const { emulator, home, login } = await setUp(t);
  const { authJson } = emulator.issueLogin();
  const other = join(home.folder, 'other');
  mkdirSync(other);
  const path = join(other, 'auth.json');
  writeFileSync(path, JSON.stringify({ ...authJson, more: 2 }));
  home.write(OLD);
  t.equal((await login(['--import', path])).code, 0);
  t.strictSame(home.read(), { ...authJson, extra: OLD.extra, more: 2 });
  for (const [content, problem] of [
    ['{}', /holds no credential/],
    ['{"auth_mode":"apikey"}', /OPENAI_API_KEY: is missing/],
    ['{"auth_mode":"headers"}', /cannot be used here/],
    ['no', /not valid JSON/],
  ] as const) {
    writeFileSync(path, content);
    const { code, stderr } = await login(['--import', path]);
    t.match(stderr, `codex-auth-sidecar: ${path}`, 'the file that is meant');
    t.equal(code, 1);
    t.match(stderr, problem);
    t.match(home.read(), authJson);
  }
  t.equal((await login(['--import', join(other, 'none')])).code, 2);
});
