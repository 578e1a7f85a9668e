import t from 'tap';
import { environmentLayer, nameVariable, unknownVariables } from '../../src/config/environment.ts';
import { type Config, resolveConfig } from '../../src/config/resolve.ts';

const NAMES: [name: string, value: string, read: (config: Config) => unknown][] = [
  ['SIDECAR_HOST', '::1', (config) => config.listen.host],
  ['SIDECAR_SOCKET', '/run/sidecar.sock', (config) => config.listen.socket],
  ['SIDECAR_LOG_LEVEL', 'debug', (config) => config.log.level],
  ['SIDECAR_CLIENT_TOKENS_FILE', '/etc/tokens', (config) => config.clients.tokensFile],
  ['SIDECAR_AGENT_IDENTITY_POLICY', 'chatgptAuth', (config) => config.agentIdentity.policy],
  ['SIDECAR_CHATGPT_BASE_URL', 'https://a.example', (config) => config.upstream.chatgptBaseUrl],
  ['CODEX_HOME', '/srv/codex', (config) => config.codexHome],
  [
    'CODEX_AGENT_IDENTITY_AUTHAPI_BASE_URL',
    'https://b.example',
    (config) => config.upstream.authApiBaseUrl,
  ],
  [
    'CODEX_AGENT_IDENTITY_JWKS_BASE_URL',
    'https://c.example',
    (config) => config.upstream.jwksBaseUrl,
  ],
  [
    'CODEX_REFRESH_TOKEN_URL_OVERRIDE',
    'https://d.example',
    (config) => config.upstream.oauthTokenUrl,
  ],
];

for (const [name, value, read] of NAMES) {
  t.test(`${name} sets one key and no other`, async (t) => {
    const config = resolveConfig(environmentLayer({ [name]: ` ${value}\n` }));
    t.equal(read(config), value, 'trimmed');
    t.not(read(resolveConfig()), value);
    t.strictSame(resolveConfig(environmentLayer({ [name]: '  ' })), resolveConfig(), 'blank');
  });
}

t.test('SIDECAR_PORT is a number', async (t) => {
  t.equal(resolveConfig(environmentLayer({ SIDECAR_PORT: '0' })).listen.port, 0);
  for (const port of ['http', '0x50', '-1', '8e3']) {
    t.throws(() => resolveConfig(environmentLayer({ SIDECAR_PORT: port })), /^listen\.port must/);
  }
});

t.test('a refused value is said with its variable, unless a flag gave it', async (t) => {
  const env = { SIDECAR_PORT: '70000', CODEX_AUTHAPI_BASE_URL: 'http://api.example' };
  const port = 'listen.port must be <= 65535';
  t.equal(nameVariable(port, env, {}), 'SIDECAR_PORT (listen.port) must be <= 65535');
  t.equal(nameVariable(port, env, { listen: { port: 70001 } }), port);
  t.equal(nameVariable('listen.portal is odd', env, {}), 'listen.portal is odd');
  t.equal(nameVariable('log.level is odd', env, {}), 'log.level is odd');
  const url = nameVariable('upstream.authApiBaseUrl must use https', env, {});
  t.equal(url, 'CODEX_AUTHAPI_BASE_URL (upstream.authApiBaseUrl) must use https');
});

t.test('of two variables for one key the Codex name counts', async (t) => {
  const [first, second] = ['https://a.example', 'https://b.example'];
  const layer = environmentLayer({
    CODEX_AUTHAPI_BASE_URL: second,
    CODEX_AGENT_IDENTITY_AUTHAPI_BASE_URL: first,
  });
  t.equal(resolveConfig(layer).upstream.authApiBaseUrl, first);
});

t.test('a name that looks like ours and is not is said with the nearest one', async (t) => {
  t.strictSame(unknownVariables({ SIDECAR_PORT: '1', SIDECAR_CONFIG: 'x', CODEX_X: '1' }), []);
  t.strictSame(unknownVariables({ SIDECAR_PROT: 'hush', SIDECAR_HOSTS: 'hush' }), [
    'the environment variable SIDECAR_PROT is not known and sets nothing; did you mean SIDECAR_PORT?',
    'the environment variable SIDECAR_HOSTS is not known and sets nothing; did you mean SIDECAR_HOST?',
  ]);
  const [line] = unknownVariables({ SIDECAR_8787_TCP_PORT_NUMBER_OF_A_SERVICE: 'x' });
  t.match(line, /known are SIDECAR_CONFIG, SIDECAR_HOST, /);
});

t.test('other names set nothing', async (t) => {
  t.strictSame(resolveConfig(environmentLayer({ HOST: 'x', PORT: '1' })), resolveConfig());
});

t.test('a bad value is refused as in the file', async (t) => {
  const layer = environmentLayer({ SIDECAR_CHATGPT_BASE_URL: 'http://chatgpt.com' });
  t.throws(() => resolveConfig(layer), /^upstream\.chatgptBaseUrl must use https/);
});
