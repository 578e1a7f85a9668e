import t from 'tap';
import { parseAuthDocument } from '../../src/auth-store/auth-document.ts';
import { refuses } from '../helpers/refusal.ts';

const parse = (document: object) => parseAuthDocument(JSON.stringify(document));
const tokens = { access_token: 'access', id_token: 'id', refresh_token: 'refresh' };
const record = {
  agent_runtime_id: 'agent-1',
  agent_private_key: 'key',
  account_id: 'account-1',
  chatgpt_user_id: 'user-1',
};

t.test('takes each mode of Codex at its word, whatever else is there', async (t) => {
  const everything = { OPENAI_API_KEY: 'sk', tokens, agent_identity: 'jwt' };
  const modes = ['apikey', 'chatgpt', 'chatgptAuthTokens', 'agentIdentity', 'personalAccessToken'];
  for (const mode of modes) t.equal(parse({ ...everything, auth_mode: mode }).mode, mode);
});

const INFERRED: [mode: string, document: object][] = [
  ['personalAccessToken', { personal_access_token: 'at-1', OPENAI_API_KEY: 'sk', tokens }],
  ['apikey', { OPENAI_API_KEY: 'sk', tokens, agent_identity: 'jwt' }],
  ['chatgpt', { tokens, OPENAI_API_KEY: null }],
  ['chatgpt', { tokens, agent_identity: record }],
  ['chatgpt', { tokens, agent_identity: 'jwt' }],
  ['agentIdentity', { agent_identity: 'jwt' }],
  ['agentIdentity', { agent_identity: record, tokens: null }],
  ['agentIdentity', { agent_identity: 'jwt', OPENAI_API_KEY: ' ', personal_access_token: '' }],
  ['chatgpt', {}],
  ['chatgpt', { agent_identity: ' ' }],
];

for (const [mode, document] of INFERRED) {
  t.test(`without auth_mode, ${JSON.stringify(document)} is ${mode}`, async (t) => {
    t.equal(parse(document).mode, mode);
    t.equal(parse({ ...document, auth_mode: null }).mode, mode, 'null is absent');
  });
}

t.test('modes that cannot be used are refused in words', async (t) => {
  for (const mode of ['bedrockApiKey', 'bedrockAccessKeys', 'headers']) {
    const message = `auth.json auth_mode: "${mode}" cannot be used here; sign in with ChatGPT or an API key`;
    await refuses(t, () => parse({ auth_mode: mode, tokens }), message, ['access']);
  }
});

t.test('unknown modes are refused without being shown', async (t) => {
  const message =
    'auth.json auth_mode: is not one of apikey, chatgpt, chatgptAuthTokens, agentIdentity, personalAccessToken';
  for (const mode of ['hush', 'ChatGPT', '', 7, {}, ['chatgpt']]) {
    await refuses(t, () => parse({ auth_mode: mode, tokens }), message, ['hush', 'access']);
  }
});
