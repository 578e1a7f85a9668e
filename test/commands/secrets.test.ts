import { randomBytes } from 'node:crypto';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import { call, RESPONSES, start as startBackend } from '../emulator/client.ts';
import { makeFile, makeFolder, type Outcome, run, serve } from '../helpers/program.ts';

t.jobs = 2;

/** Random, so that it can be looked for in everything that was printed. */
function secret(prefix = ''): string {
  return prefix + randomBytes(24).toString('base64url');
}

function showsNone(t: Test, { stdout, stderr }: Outcome, secrets: Record<string, string>): void {
  for (const [name, value] of Object.entries(secrets)) {
    t.notOk((stdout + stderr).includes(value), `${name} is not shown`);
  }
}

/** A failing upstream makes the program log errors as well. */
const NOWHERE = 'http://127.0.0.1:9/backend-api';

const SOURCES: { name: string; env: (value: string) => Record<string, string>; value: string }[] = [
  { name: 'CODEX_API_KEY', value: secret('sk-'), env: (value) => ({ CODEX_API_KEY: value }) },
  {
    name: 'CODEX_ACCESS_TOKEN with a personal access token',
    value: secret('at-'),
    env: (value) => ({ CODEX_ACCESS_TOKEN: value }),
  },
  {
    name: 'CODEX_ACCESS_TOKEN with a broken JWT',
    value: `${secret()}.${secret()}.${secret()}`,
    env: (value) => ({ CODEX_ACCESS_TOKEN: value }),
  },
  {
    name: 'CODEX_AGENT_IDENTITY',
    value: `${secret()}.${secret()}`,
    env: (value) => ({ CODEX_AGENT_IDENTITY: value }),
  },
];

for (const { name, env, value } of SOURCES) {
  t.test(`${name} is shown nowhere`, async (t) => {
    const sent = { bearer: secret(), cookie: secret(), query: secret(), body: secret() };
    const config = await makeFile(t, 'config.json', {
      upstream: {
        chatgptBaseUrl: NOWHERE,
        openaiBaseUrl: NOWHERE,
        authApiBaseUrl: NOWHERE,
        proxy: null,
      },
    });
    const { program, url } = await serve(
      t,
      ['--log-level', 'trace', '--config', config],
      env(value),
    );
    for (const path of [RESPONSES, '/backend-api/no/such', '/nowhere']) {
      const reply = await call(`${url}${path}?token=${sent.query}`, {
        headers: { authorization: `Bearer ${sent.bearer}`, cookie: `session=${sent.cookie}` },
        body: { input: sent.body },
      });
      t.ok(reply.status >= 400);
      t.notOk(reply.text.includes(value));
    }
    t.notOk((await call(`${url}/auth/status`)).text.includes(value));
    program.kill('SIGTERM');
    const outcome = await program.ended;
    t.equal(outcome.code, 0);
    t.equal(outcome.stderr, '');
    t.ok(outcome.stdout.includes('"path":"/backend-api/codex/responses"'), 'requests are logged');
    showsNone(t, outcome, { [name]: value, ...sent });
  });
}

t.test('a login and what is made of it are shown nowhere', async (t) => {
  const backend = await startBackend(t);
  const codexHome = await makeFolder(t);
  const { authJson } = backend.issueLogin();
  await writeFile(join(codexHome, 'auth.json'), JSON.stringify(authJson), { mode: 0o600 });
  const config = await makeFile(t, 'config.json', {
    codexHome,
    agentIdentity: { policy: 'chatgptAuth' },
    upstream: { ...backend.upstream, proxy: null },
  });
  const { program, url } = await serve(t, ['--log-level', 'trace', '--config', config]);
  t.equal((await call(url + RESPONSES, { body: { stream: true, input: [] } })).status, 200);
  t.equal((await call(`${url}/backend-api/codex/models`)).status, 200);
  program.kill('SIGTERM');
  const outcome = await program.ended;
  const [turn] = backend.records.filter(({ path }) => path === RESPONSES);
  showsNone(t, outcome, {
    'access token': authJson.tokens.access_token,
    'refresh token': authJson.tokens.refresh_token,
    'id token': authJson.tokens.id_token,
    'account id': authJson.tokens.account_id,
    assertion: turn?.headers.authorization?.split(' ')[1] ?? '',
    task: turn?.auth.taskId ?? '',
  });
});

t.test('the password of a proxy is shown nowhere', async (t) => {
  const password = secret();
  const { program, url } = await serve(t, ['--log-level', 'trace'], {
    CODEX_API_KEY: 'sk-test',
    HTTPS_PROXY: `http://user:${password}@127.0.0.1:9`,
  });
  const reply = await call(url + RESPONSES, { body: {} });
  t.equal(reply.status, 502);
  program.kill('SIGTERM');
  showsNone(t, await program.ended, { password, encoded: btoa(`user:${password}`) });
  t.notOk(reply.text.includes(password));
});

t.test('a secret in the wrong place is refused without being quoted', async (t) => {
  const value = secret();
  const misplaced: { args: string[]; env?: Record<string, string> }[] = [
    { args: ['--config', await makeFile(t, 'config.json', `{"token": ${value}}`)] },
    { args: [], env: { SIDECAR_CLIENT_TOKENS_FILE: await makeFile(t, 'tokens', `me:${value}\n`) } },
    { args: [], env: { SIDECAR_CHATGPT_BASE_URL: `https://user:${value}@chatgpt.com` } },
    {
      args: [
        '--config',
        await makeFile(t, 'config.json', { upstream: { proxy: `socks5://u:${value}@proxy` } }),
      ],
    },
  ];
  for (const { args, env } of misplaced) {
    const outcome = await run(t, ['serve', ...args], env);
    t.equal(outcome.code, 2);
    showsNone(t, outcome, { value });
  }
});
