import t from 'tap';
import { childCommand, childEnvironment } from '../../src/commands/run/child-environment.ts';

const ACCESS = { baseUrl: 'http://127.0.0.1:1/x', clientToken: 'token', codexHome: null };
const OVERRIDES = [
  '-c',
  'model_provider="sidecar"',
  '-c',
  'model_providers.sidecar={name="OpenAI",base_url="http://127.0.0.1:1/x",wire_api="responses",' +
    'requires_openai_auth=false,supports_websockets=true,env_key="SIDECAR_CLIENT_TOKEN"}',
];

t.test('credentials and settings of the sidecar do not reach the child', async (t) => {
  const credentials = [
    'CODEX_API_KEY',
    'CODEX_ACCESS_TOKEN',
    'CODEX_AGENT_IDENTITY',
    'OPENAI_API_KEY',
  ];
  const env: Record<string, string> = { SIDECAR_CONFIG: 'secret', SIDECAR_PORT: 'secret' };
  for (const name of credentials)
    Object.assign(env, { [name]: 'secret', [`${name}_FILE`]: 'secret' });
  for (const name of ['FEDERATION_RULE_ID', 'IDENTITY_TOKEN_FILE', 'IDENTITY_TOKEN_SOURCE'])
    env[`OPENAI_${name}`] = 'secret';
  const seen = childEnvironment({ ...env, LANG: 'C', CODEX_HOME: '/home' }, ACCESS);
  t.strictSame(seen, {
    LANG: 'C',
    CODEX_HOME: '/home',
    OPENAI_BASE_URL: ACCESS.baseUrl,
    OPENAI_API_KEY: 'token',
    SIDECAR_CLIENT_TOKEN: 'token',
  });
});

t.test('a CODEX_HOME of its own', async (t) => {
  const seen = childEnvironment({ CODEX_HOME: '/old' }, { ...ACCESS, codexHome: '/new' });
  t.equal(seen.CODEX_HOME, '/new');
});

const OWN = '127.0.0.1,localhost';
const PROXIES: [env: Record<string, string>, upper?: string, lower?: string][] = [
  [{}],
  [{ NO_PROXY: 'a' }, 'a'],
  [{ HTTP_PROXY: 'p' }, OWN, OWN],
  [{ https_proxy: 'p', NO_PROXY: 'a, b' }, `a,b,${OWN}`, `a,b,${OWN}`],
  [{ ALL_PROXY: 'p', no_proxy: 'localhost' }, 'localhost,127.0.0.1', 'localhost,127.0.0.1'],
  [{ HTTP_PROXY: 'p', NO_PROXY: 'a', no_proxy: 'b' }, `a,${OWN}`, `b,${OWN}`],
  [{ HTTP_PROXY: 'p', NO_PROXY: '*' }, '*', '*'],
];

for (const [env, upper, lower] of PROXIES) {
  t.test(`no proxy on the way to the sidecar: ${JSON.stringify(env)}`, async (t) => {
    const { NO_PROXY, no_proxy } = childEnvironment(env, ACCESS);
    t.strictSame([NO_PROXY, no_proxy], [upper, lower]);
  });
}

const WITH_CODEX: [command: string[], index: number][] = [
  [['codex'], 0],
  [['/opt/bin/codex', 'exec', 'hi'], 0],
  [['npx', '-y', '@openai/codex@0.169.0', 'exec'], 2],
  [['/usr/bin/env', 'A=1', 'codex', 'resume'], 2],
];

for (const [command, index] of WITH_CODEX) {
  t.test(`Codex is pointed at the sidecar: ${command.join(' ')}`, async (t) => {
    const expected = [...command.slice(0, index + 1), ...OVERRIDES, ...command.slice(index + 1)];
    t.strictSame(childCommand(command, ACCESS.baseUrl), expected);
  });
}

for (const command of [['node', 'codex'], ['codex-x'], ['echo', 'codex'], ['npx', 'other']]) {
  t.test(`other programs keep their arguments: ${command.join(' ')}`, async (t) => {
    t.strictSame(childCommand(command, ACCESS.baseUrl), command);
  });
}
