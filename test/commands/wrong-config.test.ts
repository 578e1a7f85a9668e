import { createHash } from 'node:crypto';
import { symlink } from 'node:fs/promises';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import type { Finding } from '../../src/commands/doctor/finding.ts';
import { makeFile, makeFolder, run, start } from '../helpers/program.ts';

t.jobs = 4;

/** Runs `serve`, which must end with 2 and say exactly `message`, and `doctor`, which must see it. */
async function refuses(
  t: Test,
  message: string,
  args: string[],
  env: Record<string, string> = {},
): Promise<void> {
  t.strictSame(await run(t, ['serve', '--port', '0', ...args], env), {
    code: 2,
    signal: null,
    stdout: '',
    stderr: `codex-auth-sidecar: wrong configuration: ${message}\n`,
  });
  await doctorFinds(t, message, args, env);
}

async function doctorFinds(
  t: Test,
  message: string,
  args: string[],
  env: Record<string, string>,
): Promise<void> {
  // It goes on to the upstream where it can, and that must not leave this machine.
  const nowhere = { SIDECAR_CHATGPT_BASE_URL: 'http://127.0.0.1:1/backend-api' };
  const { code, stdout } = await run(t, ['doctor', '--json', '--port', '0', ...args], {
    ...(message.includes('chatgptBaseUrl') ? {} : nowhere),
    ...env,
  });
  t.equal(code, 1);
  const failures = JSON.parse(stdout).filter((found: Finding) => found.outcome === 'failure');
  t.ok(
    failures.some((found: Finding) => found.message === message),
    stdout,
  );
}

const HTTPS_ONLY = 'must use https; plain http is for loopback hosts only';
const CONFIGS: { config: unknown; says: string }[] = [
  {
    config: { usage: { file: '/absent/counters' } },
    says: 'usage.file: cannot write /absent/counters (ENOENT)',
  },
  {
    config: { agentIdentity: { polisy: 'jwtOnly' } },
    says: 'config file FILE: unknown key "agentIdentity.polisy"; did you mean "policy"?',
  },
  {
    config: { limits: { drainSeconds: 'long' } },
    says: 'config file FILE: limits.drainSeconds must be integer',
  },
  {
    config: { upstream: { chatgptBaseUrl: 'http://chatgpt.example/backend-api' } },
    says: `config file FILE: upstream.chatgptBaseUrl ${HTTPS_ONLY}`,
  },
  {
    config: { upstream: { caFile: '/nonexistent/ca.pem' } },
    says: 'upstream.caFile: cannot read /nonexistent/ca.pem (ENOENT)',
  },
  {
    config: { log: { audit: '/nonexistent/audit.log' } },
    says: 'log.audit: cannot write /nonexistent/audit.log (ENOENT)',
  },
  { config: { log: { audit: '/' } }, says: 'log.audit: cannot write / (EISDIR)' },
];

for (const { config, says } of CONFIGS) {
  t.test(`config ${JSON.stringify(config)}`, async (t) => {
    const path = await makeFile(t, 'config.json', config);
    await refuses(t, says.replace('FILE', path), ['--config', path]);
  });
}

t.test('a config file that is missing', async (t) => {
  const path = join(await makeFolder(t), 'absent.json');
  await refuses(t, `config file: cannot read ${path} (ENOENT)`, [], { SIDECAR_CONFIG: path });
});

t.test('a config file that is not JSON, which is not quoted', async (t) => {
  const path = await makeFile(t, 'config.json', '{\n  "listen": hunter2\n}\n');
  await refuses(t, `config file ${path} is not valid JSON, line 2, column 13: expected a value`, [
    '--config',
    path,
  ]);
});

t.test('a config file that is no object', async (t) => {
  const path = await makeFile(t, 'config.json', []);
  await refuses(t, `config file ${path} does not hold a JSON object`, ['--config', path]);
});

const LEVELS = 'info, fatal, error, warn, debug, trace, silent';
const ENVIRONMENTS: { env: Record<string, string>; says: string }[] = [
  {
    env: { SIDECAR_LOG_LEVEL: 'loud' },
    says: `SIDECAR_LOG_LEVEL (log.level) must be one of ${LEVELS}`,
  },
  {
    env: { SIDECAR_AGENT_IDENTITY_POLICY: 'always' },
    says: 'SIDECAR_AGENT_IDENTITY_POLICY (agentIdentity.policy) must be one of jwtOnly, chatgptAuth',
  },
  {
    env: { SIDECAR_AGENT_IDENTITY_FORM: 'runtimeInstance' },
    says: 'agentIdentity.form is "runtimeInstance", which a login has to register; set agentIdentity.policy to "chatgptAuth"',
  },
  {
    env: { SIDECAR_CHATGPT_BASE_URL: 'chatgpt.com' },
    says: 'SIDECAR_CHATGPT_BASE_URL (upstream.chatgptBaseUrl) must be an https URL',
  },
  {
    env: { SIDECAR_CLIENT_TOKENS_FILE: '/nonexistent/tokens' },
    says: 'clients.tokensFile: cannot read /nonexistent/tokens (ENOENT)',
  },
  {
    env: { SIDECAR_HOST: '0.0.0.0' },
    says: 'listen.host 0.0.0.0 is not loopback: set clients.tokensFile, or pass --allow-unauthenticated',
  },
  {
    env: { CODEX_API_KEY_FILE: '/nonexistent/key' },
    says: 'CODEX_API_KEY_FILE: cannot read /nonexistent/key (ENOENT)',
  },
  {
    env: { HTTPS_PROXY: 'socks5://127.0.0.1:1' },
    says: 'HTTPS_PROXY names a SOCKS proxy, which is not supported; name an http proxy',
  },
  {
    env: { HTTPS_PROXY: 'ftp://127.0.0.1:1' },
    says: 'HTTPS_PROXY must be an http or https URL',
  },
];

for (const { env, says } of ENVIRONMENTS) {
  t.test(`environment ${JSON.stringify(env)}`, (t) => refuses(t, says, [], env));
}

t.test('a variable whose name is mistyped is a warning at the start', async (t) => {
  const program = start(t, ['serve', '--port', '0'], { SIDECAR_HOTS: '0.0.0.0' });
  const { level } = await program.logged(
    'the environment variable SIDECAR_HOTS is not known and sets nothing; did you mean SIDECAR_HOST?',
  );
  t.equal(level, 'warn');
  t.match(await program.logged('listening'), { url: /^http:\/\/127\.0\.0\.1:/ });
});

t.test('a caFile without a certificate', async (t) => {
  const caFile = await makeFile(t, 'ca.pem', 'hunter2');
  const config = await makeFile(t, 'config.json', { upstream: { caFile } });
  await refuses(t, `upstream.caFile: ${caFile} holds no certificate in PEM form`, [
    '--config',
    config,
  ]);
});

t.test('an audit log behind a link that leads nowhere', async (t) => {
  const audit = join(await makeFolder(t), 'audit.log');
  await symlink('/nonexistent/audit.log', audit);
  const config = await makeFile(t, 'config.json', { log: { audit } });
  await refuses(t, `log.audit: cannot write ${audit} (ENOENT)`, ['--config', config]);
});

t.test('SIDECAR_PORT must be a port', async (t) => {
  t.match(await run(t, ['serve'], { SIDECAR_PORT: 'http' }), {
    code: 2,
    stderr: 'codex-auth-sidecar: wrong configuration: SIDECAR_PORT (listen.port) must be integer\n',
  });
});

t.test('a tokens file without a token, or with a line that is none', async (t) => {
  const digest = createHash('sha256').update('token').digest('hex');
  const empty = await makeFile(t, 'tokens', '# nothing yet\n\n');
  const remedy = 'run "codex-auth-sidecar token add NAME"';
  await refuses(t, `clients.tokensFile: ${empty} holds no token; ${remedy}`, [], {
    SIDECAR_CLIENT_TOKENS_FILE: empty,
  });
  const broken = await makeFile(t, 'tokens', `agent:${digest}\nother:hunter2\n`);
  await refuses(t, 'clients.tokensFile line 2 is not name:sha256', ['--host', '0.0.0.0'], {
    SIDECAR_CLIENT_TOKENS_FILE: broken,
  });
  const limited = await makeFile(t, 'tokens', `agent:${digest} requests=many\n`);
  const number =
    'clients.tokensFile line 1 has a value of requests that is not a whole number from 1 to 1000000000000';
  await refuses(t, number, [], { SIDECAR_CLIENT_TOKENS_FILE: limited });
});

t.test('beyond loopback without tokens it serves only when told to, and warns', async (t) => {
  const program = start(t, [
    'serve',
    '--host',
    '0.0.0.0',
    '--port',
    '0',
    '--allow-unauthenticated',
  ]);
  const { level } = await program.logged(
    'anyone who reaches 0.0.0.0 can use the account (--allow-unauthenticated)',
  );
  t.equal(level, 'warn');
  await program.logged('listening');
});

t.test('beyond loopback it warns of plain HTTP, whether or not clients need a token', async (t) => {
  const tokens = await makeFile(t, 'tokens', `agent:${'0'.repeat(64)} for=inference\n`);
  const args = ['serve', '--host', '0.0.0.0', '--port', '0'];
  const program = start(t, args, { SIDECAR_CLIENT_TOKENS_FILE: tokens });
  const { level } = await program.logged(
    'listen.host 0.0.0.0 is reached over plain HTTP: whoever can read that network can read client tokens and prompts; set listen.tls (certFile, keyFile), or allow only a network that nobody else can read',
  );
  t.equal(level, 'warn');
  await program.logged('listening');
});
