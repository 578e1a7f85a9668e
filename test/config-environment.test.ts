import t from 'tap';
import { type Config, environmentLayer, resolveConfig } from '../src/config.ts';

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

t.test('other names set nothing', async (t) => {
  t.strictSame(resolveConfig(environmentLayer({ HOST: 'x', PORT: '1' })), resolveConfig());
});

t.test('a bad value is refused as in the file', async (t) => {
  const layer = environmentLayer({ SIDECAR_CHATGPT_BASE_URL: 'http://chatgpt.com' });
  t.throws(() => resolveConfig(layer), /^upstream\.chatgptBaseUrl must use https/);
});
