import t from 'tap';
import { childCommand, childEnvironment } from '../../src/commands/run/child-environment.ts';

const ACCESS = { baseUrl: 'http://127.0.0.1:1/x', clientToken: 'token', home: null };
const PRIVATE = { path: '/own', shared: { path: '/real', config: {} } };
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
    OPENAI_AGENTS_DISABLE_TRACING: '1',
    PI_TELEMETRY: '0',
    OPENAI_BASE_URL: ACCESS.baseUrl,
    OPENAI_API_KEY: 'token',
    SIDECAR_CLIENT_TOKEN: 'token',
  });
});

t.test('a CODEX_HOME of its own', async (t) => {
  const seen = childEnvironment(
    { CODEX_HOME: '/old' },
    { ...ACCESS, home: { path: '/new', shared: null } },
  );
  t.equal(seen.CODEX_HOME, '/new');
});

t.test('a private home: databases in the real one, a refresh at this sidecar', async (t) => {
  const access = { ...ACCESS, home: PRIVATE };
  const inherited = { CODEX_REFRESH_TOKEN_URL_OVERRIDE: 'https://auth.example/oauth/token' };
  t.match(childEnvironment(inherited, access), {
    CODEX_HOME: '/own',
    CODEX_SQLITE_HOME: '/real',
    CODEX_CONNECTORS_TOKEN: 'token',
    CODEX_REFRESH_TOKEN_URL_OVERRIDE: new URL('/oauth/token', ACCESS.baseUrl).href,
  });
  const chosen = { CODEX_SQLITE_HOME: '/chosen' };
  t.equal(childEnvironment(chosen, access).CODEX_SQLITE_HOME, '/chosen');
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
    t.strictSame(childCommand(command, ACCESS.baseUrl, null), expected);
  });
}

const BASE = 'http://127.0.0.1:1/backend-api/codex';

for (const [provider, own] of [
  ['openai', ['model_provider="openai"', `openai_base_url="${BASE}"`]],
  ['sidecar', ['model_provider="sidecar"', /^model_providers\.sidecar=/]],
] as const) {
  t.test(`a private home: Codex asks the sidecar for everything, as ${provider}`, async (t) => {
    const config = { model_provider: provider };
    const home = { path: '/own', shared: { path: '/real', config } };
    const words = childCommand(['codex', 'exec'], BASE, home);
    t.match(
      words.filter((word) => word !== '-c'),
      [
        'codex',
        ...own,
        'chatgpt_base_url="http://127.0.0.1:1/backend-api"',
        'otel.metrics_exporter="none"',
        'cli_auth_credentials_store="file"',
        'exec',
      ],
    );
  });
}

t.test('metrics go on to a destination of the user', async (t) => {
  const config = { otel: { metrics_exporter: { 'otlp-http': {} } } };
  const home = { path: '/own', shared: { path: '/real', config } };
  t.notMatch(childCommand(['codex'], BASE, home).join(' '), 'metrics_exporter');
});

for (const command of [['node', 'codex'], ['codex-x'], ['echo', 'codex'], ['npx', 'other']]) {
  t.test(`other programs keep their arguments: ${command.join(' ')}`, async (t) => {
    t.strictSame(childCommand(command, ACCESS.baseUrl, PRIVATE), command);
  });
}
