import t from 'tap';
import {
  environmentLayer,
  nameVariable,
  unknownVariables,
  variableOf,
  variablesInUse,
  variablesOf,
} from '../../src/config/environment.ts';
import { KINDS, type Kind } from '../../src/config/keys.generated.ts';
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
  t.match(line, /sets nothing; the key listen\.port is set by SIDECAR_LISTEN_PORT, and so on$/);
});

t.test('other names set nothing', async (t) => {
  t.strictSame(resolveConfig(environmentLayer({ HOST: 'x', PORT: '1' })), resolveConfig());
});

t.test('a bad value is refused as in the file', async (t) => {
  const layer = environmentLayer({ SIDECAR_CHATGPT_BASE_URL: 'http://chatgpt.com' });
  t.throws(() => resolveConfig(layer), /^upstream\.chatgptBaseUrl must use https/);
});

t.test('the rule makes one name of each key, and no two keys have one name', async (t) => {
  t.equal(variableOf('listen.socketMode'), 'SIDECAR_LISTEN_SOCKET_MODE');
  t.equal(variableOf('codexHome'), 'SIDECAR_CODEX_HOME');
  const names = Object.keys(KINDS).flatMap(variablesOf);
  t.equal(new Set([...names, 'SIDECAR_CONFIG', 'SIDECAR_STORE_URL_FILE']).size, names.length + 2);
});

/** A value of each kind, as the environment holds it, and as the configuration does. */
const VALUES: Record<Kind, [text: string, value: unknown]> = {
  string: ['a word', 'a word'],
  integer: ['7', 7],
  boolean: ['false', false],
  array: ['["a"]', ['a']],
  object: ['{"a":1}', { a: 1 }],
  null: ['null', null],
};

t.test(
  'every key can be set, to each kind of value that it takes, and nothing else is',
  async (t) => {
    for (const [key, kinds] of Object.entries(KINDS)) {
      for (const kind of kinds) {
        const [text, value] = VALUES[kind];
        const layer = environmentLayer({ [variableOf(key)]: text });
        const set = key
          .split('.')
          .reduceRight<unknown>((inner, name) => ({ [name]: inner }), value);
        t.strictSame(layer, set, `${key} ${kind}`);
        t.strictSame([...variablesInUse({ [variableOf(key)]: text }).keys()], [key]);
      }
    }
  },
);

t.test('a text that looks like another kind stays a text', async (t) => {
  const layer = environmentLayer({ SIDECAR_STORE_NAME: '7', SIDECAR_LISTEN_SOCKET_MODE: 'null' });
  t.strictSame(layer, { store: { name: '7' }, listen: { socketMode: 'null' } });
});

t.test('two names of ours for one key must agree', async (t) => {
  const both = (second: string) => ({ SIDECAR_PORT: '1', SIDECAR_LISTEN_PORT: second });
  t.strictSame(environmentLayer(both('1')), { listen: { port: 1 } });
  t.throws(() => environmentLayer(both('2')), {
    name: 'ConfigError',
    message:
      'SIDECAR_LISTEN_PORT and SIDECAR_PORT both set listen.port, to different values; unset one',
  });
});

t.test('a name of ours goes before one of Codex', async (t) => {
  const env = { CODEX_HOME: '/agent', SIDECAR_CODEX_HOME: '/sidecar' };
  t.strictSame(environmentLayer(env), { codexHome: '/sidecar' });
});

t.test('JSON that is none is refused with its place, and is not quoted', async (t) => {
  t.throws(() => environmentLayer({ SIDECAR_CLIENTS_ALLOWED_HOSTS: 'sidecar' }), {
    name: 'ConfigError',
    message:
      'SIDECAR_CLIENTS_ALLOWED_HOSTS (clients.allowedHosts) is not valid JSON, line 1, column 1: expected a value',
  });
});

t.test('a wrong value within JSON is said with its variable', async (t) => {
  const env = { SIDECAR_CLIENTS_ALLOWED_HOSTS: '["a/b"]' };
  const message = 'clients.allowedHosts.0 must be a host name';
  t.equal(
    nameVariable(message, env, {}),
    'SIDECAR_CLIENTS_ALLOWED_HOSTS (clients.allowedHosts.0) must be a host name',
  );
});
