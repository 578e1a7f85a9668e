import { existsSync, mkdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import t, { type Test } from 'tap';
import { RESPONSES, start as startBackend } from '../emulator/client.ts';
import { makeFile, makeFolder, run } from '../helpers/program.ts';

t.jobs = 2;

/** A child that is a line of JavaScript. */
const script = (text: string) => ['--', process.execPath, '--input-type=module', '-e', text];

interface SidecarWithClock {
  backend: Awaited<ReturnType<typeof startBackend>>;
  codexHome: string;
  config: string;
  state: string;
  run: (args: string[], env?: Record<string, string>, input?: string) => ReturnType<typeof run>;
}

/** A login at the emulated backend, and `run` with its settings. */
async function openScene(t: Test): Promise<SidecarWithClock> {
  const backend = await startBackend(t);
  const codexHome = await makeFolder(t);
  const login = JSON.stringify(backend.issueLogin().authJson);
  writeFileSync(join(codexHome, 'auth.json'), login, { mode: 0o600 });
  const upstream = { ...backend.upstream, proxy: null };
  const config = await makeFile(t, 'config.json', { upstream });
  const state = await makeFolder(t);
  const defaults = { CODEX_HOME: codexHome, XDG_STATE_HOME: state };
  return {
    backend,
    codexHome,
    config,
    state,
    run: (args, env = {}, input) =>
      run(
        t,
        ['run', '--config', config, ...args],
        { ...defaults, ...env },
        { ...(input === undefined ? {} : { input }) },
      ),
  };
}

t.test('the child reaches the backend with its token, and nobody without', async (t) => {
  const { backend, run } = await openScene(t);
  const { code, stdout, stderr } = await run(
    script(`
      const { OPENAI_BASE_URL: base, OPENAI_API_KEY: token } = process.env;
      const ask = async (own) => {
        const headers = { ...own, 'content-type': 'application/json' };
        const init = { method: 'POST', headers, body: '{"input":[]}' };
        const answer = await fetch(base + '/responses', init);
        return [answer.status, (await answer.text()).includes('response.completed')];
      };
      const authorization = 'Bearer ' + token;
      console.log(JSON.stringify([token, await ask({ authorization }), await ask({})]));
    `),
  );
  t.equal(code, 0, stderr);
  const [token, withToken, without] = JSON.parse(stdout);
  t.strictSame(
    [withToken, without],
    [
      [200, true],
      [401, false],
    ],
  );
  t.equal(stderr, '', 'the terminal belongs to the child');
  t.match(backend.records, [{ path: RESPONSES, auth: { kind: 'bearer', verified: true } }]);
  t.notMatch(JSON.stringify(backend.records), token, 'the client token stayed here');
});

t.test('the child can neither reload the sidecar nor open it to others', async (t) => {
  const { run } = await openScene(t);
  const { stdout } = await run(
    script(`
      const { OPENAI_BASE_URL: base, OPENAI_API_KEY: token } = process.env;
      const ask = async (path, init) => (await fetch(new URL(path, base), init)).status;
      const headers = { authorization: 'Bearer ' + token };
      const reloaded = await ask('/auth/reload', { method: 'POST', headers });
      console.log(reloaded, await ask('/backend-api/codex/models'));
    `),
  );
  t.equal(stdout, '403 401\n');
});

t.test('the sidecar ends with the child', async (t) => {
  const { run } = await openScene(t);
  const { stdout } = await run(script('console.log(process.env.OPENAI_BASE_URL)'));
  await t.rejects(fetch(new URL('/livez', stdout.trim())));
});

t.test('arguments, standard input and exit code are those of the child', async (t) => {
  const { run } = await openScene(t);
  const text =
    'process.stdin.pipe(process.stdout); console.error(process.argv[1]); process.exitCode = 3;';
  t.match(await run([...script(text), '--', '--json', 'a b'], {}, 'typed\n'), {
    code: 3,
    stdout: 'typed\n',
    stderr: '--json\n',
  });
});

t.test('a child that a signal ends: 128 and its number', async (t) => {
  const { run } = await openScene(t);
  t.match(await run(['--', 'sh', '-c', 'kill -KILL $$']), { code: 137, signal: null, stderr: '' });
});

t.test('a child that cannot be started', async (t) => {
  const { run } = await openScene(t);
  t.match(await run(['--', 'no-such-program']), {
    code: 127,
    stderr:
      'codex-auth-sidecar: cannot start no-such-program: program not found; check the name and PATH\n',
  });
});

t.test('without a credential the child does not start', async (t) => {
  const { run } = await openScene(t);
  const { code, stdout, stderr } = await run(script('console.log(1)'), {
    CODEX_HOME: await makeFolder(t),
  });
  t.equal(code, 1);
  t.equal(stdout, '');
  t.match(stderr, /^codex-auth-sidecar: no credential: run "codex-auth-sidecar login" .*\n$/);
});

t.test('a login that cannot be used now is said, and the child starts', async (t) => {
  const { run, backend, config } = await openScene(t);
  const settings = JSON.parse(readFileSync(config, 'utf8'));
  writeFileSync(config, JSON.stringify({ ...settings, agentIdentity: { policy: 'chatgptAuth' } }));
  backend.addFault({ path: '/api/accounts/*', status: 403 });
  const { code, stdout, stderr } = await run(script('console.log(1)'));
  t.equal(code, 0);
  t.equal(stdout, '1\n');
  t.match(stderr, /^codex-auth-sidecar: requests will fail for now: .*403.*\n$/);
});

t.test('the log goes to a file, or to standard error', async (t) => {
  const { run, state } = await openScene(t);
  const loaded = /^\{.*"msg":"credential loaded"\}$/m;
  t.match(await run(['--', 'true']), { code: 0, stdout: '', stderr: '' });
  t.match(readFileSync(join(state, 'codex-auth-sidecar', 'run.log'), 'utf8'), loaded);
  t.match(await run(['--verbose', '--', 'true']), { code: 0, stdout: '', stderr: loaded });
});

t.test('the log says where this run listens, as which process and with what', async (t) => {
  const { run, state, codexHome } = await openScene(t);
  const file = join(state, 'a.log');
  const { stdout } = await run([
    '--log-file',
    file,
    ...script('console.log(JSON.stringify([process.ppid, process.env.OPENAI_BASE_URL]))'),
  ]);
  const [pid, baseUrl] = JSON.parse(stdout);
  const lines = readFileSync(file, 'utf8').trimEnd().split('\n');
  const starts = lines.map((line) => JSON.parse(line)).filter(({ msg }) => msg === 'listening');
  t.match(starts, [
    {
      pid,
      url: new URL(baseUrl).origin,
      credential: 'chatgpt',
      credentialSource: String,
      policy: 'jwtOnly',
      codexHome,
      clientTokens: true,
    },
  ]);
});

for (const audit of ['stdout', '-']) {
  t.test(`an audit log on the child's output (${audit}) is refused`, async (t) => {
    const { run, config } = await openScene(t);
    const settings = JSON.parse(readFileSync(config, 'utf8'));
    writeFileSync(config, JSON.stringify({ ...settings, log: { audit } }));
    t.match(await run(['--', 'echo', 'started']), {
      code: 2,
      stdout: '',
      stderr:
        "codex-auth-sidecar: wrong configuration: log.audit must be a file for run, whose standard output is the program's\n",
    });
  });
}

const SHOW_HOME = `
  import { readdirSync } from 'node:fs';
  const { CODEX_HOME } = process.env;
  console.log(JSON.stringify([CODEX_HOME, readdirSync(CODEX_HOME)]));
`;

t.test('--isolate-home: the configuration without the login, gone afterwards', async (t) => {
  const { run, codexHome, state } = await openScene(t);
  writeFileSync(join(codexHome, 'config.toml'), 'model = "m"\n');
  const [folder, names] = JSON.parse((await run(['--isolate-home', ...script(SHOW_HOME)])).stdout);
  t.match(folder, join(state, 'codex-auth-sidecar', 'home-'));
  t.strictSame(names, ['config.toml']);
  t.notOk(existsSync(folder));
});

t.test(
  'a derived home carries all of the configuration and leaves out the login alone',
  async (t) => {
    const { run, codexHome } = await openScene(t);
    const configuration = {
      'config.toml': 'model_instructions_file = "mine.md"\n',
      'careful.config.toml': 'sandbox_mode = "read-only"\n',
      'mine.md': 'Be careful.\n',
      'AGENTS.md': 'Never push.\n',
      'rules/default.rules': 'x\n',
      'skills/a/SKILL.md': 'y\n',
    };
    for (const [name, text] of Object.entries(configuration)) {
      mkdirSync(dirname(join(codexHome, name)), { recursive: true });
      writeFileSync(join(codexHome, name), text);
    }
    symlinkSync('/nonexistent', join(codexHome, 'broken'));
    symlinkSync('mine.md', join(codexHome, 'linked.md'));
    writeFileSync(join(codexHome, 'history.jsonl'), '{}\n');
    const show = `
    import { readdirSync } from 'node:fs';
    const all = readdirSync(process.env.CODEX_HOME, { recursive: true, withFileTypes: true });
    console.log(JSON.stringify(all.filter((entry) => entry.isFile()).map(({ name }) => name).sort()));
  `;
    const { stdout, stderr } = await run(['--isolate-home', ...script(show)]);
    t.equal(stderr, '');
    const names = [...Object.keys(configuration), 'linked.md'].map((name) => basename(name));
    t.strictSame(JSON.parse(stdout), names.sort());
  },
);

/** A program called codex that prints its overrides. */
async function fakeCodex(t: Test): Promise<string> {
  const path = join(await makeFolder(t), 'codex');
  writeFileSync(path, '#!/bin/sh\nprintf "%s\\n" "$2"\n', { mode: 0o755 });
  return path;
}

t.test('a Codex that could read the login is a warning', async (t) => {
  const { run, codexHome } = await openScene(t);
  const codex = await fakeCodex(t);
  t.match(await run(['--share-home', '--', codex]), {
    code: 0,
    stdout: 'model_provider="sidecar"\n',
    stderr: `codex-auth-sidecar: the agent can read the login in ${codexHome}; without --share-home it gets a home without a login\n`,
  });
  for (const options of [['--isolate-home'], []]) {
    t.match(await run([...options, '--', codex]), { code: 0, stderr: '' }, options.join());
  }
  t.match(await run(['--share-home', '--isolate-home', '--', codex]), {
    code: 2,
    stderr: /--share-home and --isolate-home contradict each other; choose one/,
  });
});

const SHOW_LOGIN = `
  import { readFileSync } from 'node:fs';
  const { CODEX_HOME, OPENAI_API_KEY } = process.env;
  const login = JSON.parse(readFileSync(CODEX_HOME + '/auth.json', 'utf8'));
  console.log(JSON.stringify({ CODEX_HOME, OPENAI_API_KEY, login }));
`;

t.test('by default the program has a home that lasts, with a phantom login', async (t) => {
  const { run, codexHome, state } = await openScene(t);
  writeFileSync(join(codexHome, 'config.toml'), 'model = "m"\n');
  const { code, stdout, stderr } = await run(script(SHOW_LOGIN));
  t.equal(code, 0, stderr);
  t.equal(stderr, '');
  const { CODEX_HOME: home, OPENAI_API_KEY: token, login } = JSON.parse(stdout);
  t.match(home, join(state, 'codex-auth-sidecar', 'agent-home'));
  t.match(login, { auth_mode: 'chatgpt', tokens: { access_token: token, refresh_token: token } });
  t.notOk('account_id' in login.tokens, 'with one, Codex would go past the sidecar');
  t.equal(readFileSync(join(home, 'config.toml'), 'utf8'), 'model = "m"\n');
  const again = JSON.parse((await run(script(SHOW_LOGIN))).stdout);
  t.equal(again.CODEX_HOME, home);
  t.not(again.OPENAI_API_KEY, token);
});

t.test('with an API key, Codex is to ask for responses alone', async (t) => {
  const { run } = await openScene(t);
  const { stdout } = await run(script(SHOW_LOGIN), { CODEX_API_KEY: 'sk-real' });
  const { OPENAI_API_KEY: token, login } = JSON.parse(stdout);
  t.match(login, { auth_mode: 'apikey', OPENAI_API_KEY: token });
  t.not(token, 'sk-real');
});

t.test('without a credential no home is made', async (t) => {
  const { run, state } = await openScene(t);
  await run(['--', 'true'], { CODEX_HOME: join(state, 'none') });
  t.notOk(existsSync(join(state, 'none')));
  t.notOk(existsSync(join(state, 'codex-auth-sidecar', 'agent-home')));
});
