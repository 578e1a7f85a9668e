import t from 'tap';
import { readChatGptClaims } from '../../src/oauth/claims.ts';
import { unsignedToken } from '../helpers/identity-jwt.ts';

const AUTH = 'https://api.openai.com/auth';
const PROFILE = 'https://api.openai.com/profile';
const read = (payload: object | string) =>
  readChatGptClaims(unsignedToken({ alg: 'RS256' }, payload).reveal());
const NOTHING = {
  accountId: null,
  userId: null,
  email: null,
  planType: null,
  fedramp: false,
  expiresAt: null,
};

t.test('reads the claims of a ChatGPT token', async (t) => {
  const claims = read({
    exp: 1_795_000_000,
    email: 'someone@example.com',
    [AUTH]: {
      chatgpt_account_id: 'account-1',
      chatgpt_user_id: 'user-1',
      user_id: 'user-2',
      chatgpt_plan_type: 'PRO',
      chatgpt_account_is_fedramp: true,
    },
    [PROFILE]: { email: 'other@example.com' },
  });
  t.strictSame(claims, {
    accountId: 'account-1',
    userId: 'user-1',
    email: 'someone@example.com',
    planType: 'pro',
    fedramp: true,
    expiresAt: 1_795_000_000_000,
  });
});

t.test('knows the second place of user and e-mail', async (t) => {
  const claims = read({ [AUTH]: { user_id: 'user-2' }, [PROFILE]: { email: 'other@example.com' } });
  t.match(claims, { userId: 'user-2', email: 'other@example.com' });
});

t.test('an unknown plan is unknown, none is none', async (t) => {
  t.equal(read({ [AUTH]: { chatgpt_plan_type: 'gold' } })?.planType, 'unknown');
  t.equal(read({ [AUTH]: {} })?.planType, null);
});

t.test('claims of a wrong type or blank ones are absent', async (t) => {
  t.strictSame(read({}), NOTHING);
  for (const odd of [null, 7, 'text', ['x']]) t.strictSame(read({ [AUTH]: odd }), NOTHING);
  const wrong = { chatgpt_account_id: 7, chatgpt_user_id: '', chatgpt_account_is_fedramp: 'true' };
  t.strictSame(read({ email: {}, exp: 'soon', [AUTH]: wrong, [PROFILE]: null }), NOTHING);
});

t.test('a time that no clock can show is none', async (t) => {
  for (const exp of ['1e400', '1e300', '-1e300', '8640000000001']) {
    t.strictSame(read(`{"exp":${exp}}`), NOTHING, exp);
  }
});

t.test('what is no JWT has no claims', async (t) => {
  for (const text of ['', 'at-1', 'a.b', 'a.b.c', '..', 'sk-proj-1', 'e30.W10.x', 'e30.bnVsbA.x']) {
    t.equal(readChatGptClaims(text), null, text);
  }
});
