import { inspect } from 'node:util';
import t from 'tap';
import { parseAuthDocument } from '../../src/auth-store/auth-document.ts';
import { captureLog } from '../helpers/captured-log.ts';

const document = parseAuthDocument(
  JSON.stringify({
    OPENAI_API_KEY: 'hush-key',
    personal_access_token: 'at-hush',
    tokens: { access_token: 'hush-a', id_token: 'hush-i', refresh_token: 'hush-r' },
    agent_identity: {
      agent_runtime_id: 'agent-1',
      agent_private_key: 'hush-private',
      account_id: 'account-1',
      chatgpt_user_id: 'user-1',
      later: 'hush-later',
    },
    later: 'hush-unknown',
  }),
);

t.test('the document prints nothing of itself', async (t) => {
  const options = { depth: null, showHidden: true, getters: true } as const;
  for (const value of [document, { document }, [document]]) {
    const texts = [inspect(value, options), JSON.stringify(value), String(value)];
    for (const text of texts) t.notMatch(text, 'hush');
  }
});

t.test('nor do its parts', async (t) => {
  const { apiKey, tokens, identityRecord, personalAccessToken } = document;
  for (const part of [apiKey, tokens, identityRecord, personalAccessToken]) {
    t.notMatch(inspect(part, { depth: null, showHidden: true }), 'hush');
    t.notMatch(JSON.stringify(part), 'hush');
    t.notMatch(`${part}`, 'hush');
  }
});

t.test('nor does a log of either', async (t) => {
  const { log, text } = captureLog();
  log.info({ document, tokens: document.tokens, record: document.identityRecord }, `${document}`);
  t.notMatch(text(), 'hush');
});
