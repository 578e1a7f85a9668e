import t from 'tap';
import { type AuthDocument, parseAuthDocument } from '../../src/auth-store/auth-document.ts';
import { Secret } from '../../src/base/secret.ts';
import { selectCredential } from '../../src/credentials/selection.ts';
import { failureOf } from '../helpers/failure.ts';

const tokens = { access_token: 'access' };
const record = {
  agent_runtime_id: 'agent-1',
  agent_private_key: 'key',
  account_id: 'account-1',
  chatgpt_user_id: 'user-1',
};

function environment(values: Partial<Record<'apiKey' | 'accessToken' | 'agentIdentity', string>>) {
  const secret = (value: string | undefined) => (value === undefined ? null : new Secret(value));
  return {
    apiKey: secret(values.apiKey),
    accessToken: secret(values.accessToken),
    agentIdentity: secret(values.agentIdentity),
    workload: null,
  };
}

function fromDocument(document: object | null) {
  const parsed = document === null ? null : parseAuthDocument(JSON.stringify(document));
  return selectCredential(environment({}), async () => parsed);
}

const neverAsked = async (): Promise<AuthDocument | null> => {
  throw new Error('the file was asked');
};

t.test('the environment comes before the file, in the order of Codex', async (t) => {
  const all = { apiKey: 'sk', accessToken: 'at-1', agentIdentity: 'jwt' };
  const first = await selectCredential(environment(all), neverAsked);
  t.match(first, { kind: 'apikey', from: 'CODEX_API_KEY' });
  t.equal(first.kind === 'apikey' && first.key.reveal(), 'sk');
  const { apiKey: _, ...two } = all;
  const second = await selectCredential(environment(two), neverAsked);
  t.match(second, { kind: 'personalAccessToken', from: 'CODEX_ACCESS_TOKEN' });
  const third = await selectCredential(environment({ agentIdentity: 'jwt' }), neverAsked);
  t.match(third, { kind: 'identityToken', from: 'CODEX_AGENT_IDENTITY' });
  t.equal(third.kind === 'identityToken' && third.token.reveal(), 'jwt');
});

t.test('CODEX_ACCESS_TOKEN is a JWT unless it begins with at-', async (t) => {
  const kindOf = async (accessToken: string) =>
    (await selectCredential(environment({ accessToken }), neverAsked)).kind;
  t.equal(await kindOf('at-1'), 'personalAccessToken');
  t.equal(await kindOf('eyJhbGciOi.at-.x'), 'identityToken');
});

t.test('a value of the environment that no header can carry names its variable', async (t) => {
  const names = {
    apiKey: 'CODEX_API_KEY',
    accessToken: 'CODEX_ACCESS_TOKEN',
    agentIdentity: 'CODEX_AGENT_IDENTITY',
  };
  for (const [field, name] of Object.entries(names)) {
    const given = environment({ [field]: 'hush\nhush' });
    const error = await failureOf(() => selectCredential(given, neverAsked));
    t.equal(error.code, 'AUTH_CREDENTIAL_INVALID');
    t.match(error.message, new RegExp(`^${name}: holds a space`));
    t.notMatch(error.message, 'hush');
  }
});

t.test('nothing at all names the ways to sign in', async (t) => {
  const error = await failureOf(() => fromDocument(null));
  t.equal(error.code, 'AUTH_NOT_CONFIGURED');
  for (const way of [
    'codex-auth-sidecar login',
    'CODEX_ACCESS_TOKEN',
    'CODEX_API_KEY',
    'keyring',
  ]) {
    t.match(error.message, way);
  }
});

t.test('a mode of the file gives its credential and no other', async (t) => {
  const everything = {
    OPENAI_API_KEY: 'sk',
    personal_access_token: 'at-1',
    tokens,
    last_refresh: 'then',
  };
  const select = (auth_mode: string, agent_identity: unknown = 'jwt') =>
    fromDocument({ ...everything, agent_identity, auth_mode });
  t.match(await select('apikey'), { kind: 'apikey', from: 'auth.json' });
  t.match(await select('personalAccessToken'), { kind: 'personalAccessToken', from: 'auth.json' });
  t.match(await select('agentIdentity'), { kind: 'identityToken', from: 'auth.json' });
  const alone = await select('agentIdentity', record);
  t.match(alone, { kind: 'identityRecord', record: { agentRuntimeId: 'agent-1' } });
  for (const mode of ['chatgpt', 'chatgptAuthTokens']) {
    const login = { kind: 'chatgpt', mode, lastRefresh: 'then' };
    t.match(await select(mode), { ...login, record: null });
    t.match(await select(mode, record), { ...login, record: { agentRuntimeId: 'agent-1' } });
  }
});

const MISSING: [mode: string, field: string][] = [
  ['apikey', 'OPENAI_API_KEY'],
  ['personalAccessToken', 'personal_access_token'],
  ['agentIdentity', 'agent_identity'],
  ['chatgpt', 'tokens'],
  ['chatgptAuthTokens', 'tokens'],
];

for (const [mode, field] of MISSING) {
  t.test(`mode ${mode} without ${field} says which field is missing`, async (t) => {
    const error = await failureOf(() => fromDocument({ auth_mode: mode }));
    t.equal(error.code, 'AUTH_CREDENTIAL_INVALID');
    const problem = `is missing, but auth_mode is ${mode}; sign in again`;
    t.equal(error.message, `auth.json ${field}: ${problem}`);
  });
}
