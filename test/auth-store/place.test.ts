import t from 'tap';
import { AuthDocument } from '../../src/auth-store/auth-document.ts';
import type { JsonObject } from '../../src/base/json.ts';
import { readChatGptLogin } from '../../src/credentials/chatgpt-login.ts';
import { oauthEndpoints } from '../../src/credentials/oauth-endpoints.ts';
import { selectCredential } from '../../src/credentials/selection.ts';
import { parseStoredKey } from '../../src/credentials/stored-key.ts';
import { refuses } from '../helpers/refusal.ts';

const NOTHING = { apiKey: null, accessToken: null, agentIdentity: null, workload: null };
const UPSTREAM = {
  oauthIssuer: 'https://auth.example',
  oauthTokenUrl: null,
  oauthRevokeUrl: null,
};
const RECORD = {
  agent_runtime_id: 'agent',
  agent_private_key: '?',
  account_id: 'account',
  chatgpt_user_id: 'user',
};
const FOREIGN = { issuer: 'https://other.example', client_id: 'client' };

/** All that a start does with a stored document. */
async function use(raw: JsonObject, place: 'auth.json' | 'the shared store'): Promise<void> {
  const document = new AuthDocument(raw, place);
  const selection = await selectCredential(NOTHING, async () => document);
  if (selection.kind === 'identityRecord') parseStoredKey(selection.record, selection.from);
  if (selection.kind !== 'chatgpt') return;
  oauthEndpoints(UPSTREAM, selection.tokens.provenance, null);
  readChatGptLogin(selection.tokens, selection.lastRefresh);
}

const cases: [raw: JsonObject, problem: string][] = [
  [{ OPENAI_API_KEY: 7 }, 'OPENAI_API_KEY: must be a string'],
  [{ auth_mode: 'apikey' }, 'OPENAI_API_KEY: is missing, but auth_mode is apikey; sign in again'],
  [{ tokens: 'x' }, 'tokens: must be an object'],
  [{ tokens: {} }, 'tokens.access_token: is missing'],
  [{ tokens: { access_token: 'x' } }, 'tokens.access_token: is not a JWT'],
  [
    { tokens: { access_token: 'x', oauth_provenance: { issuer: 'x' } } },
    'tokens.oauth_provenance.client_id: is missing',
  ],
  [
    { tokens: { access_token: 'x', oauth_provenance: FOREIGN } },
    'tokens.oauth_provenance.issuer: is neither upstream.oauthIssuer (https://auth.example) nor https://auth.openai.com; sign in again',
  ],
  [{ agent_identity: 7 }, 'agent_identity: must be a JWT or a record'],
  [{ agent_identity: {} }, 'agent_identity.agent_runtime_id: is missing'],
  [{ agent_identity: RECORD }, 'agent_identity.agent_private_key: is not padded standard base64'],
];

for (const place of ['auth.json', 'the shared store'] as const) {
  t.test(`what is wrong with a field is said of ${place}, where it is kept`, async (t) => {
    for (const [raw, problem] of cases)
      await refuses(t, () => use(raw, place), `${place} ${problem}`, []);
  });
}
