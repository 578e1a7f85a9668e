import t from 'tap';
import type { StoredTokens } from '../../src/auth-store/auth-document.ts';
import { NOT_HEADER_TEXT } from '../../src/base/header-text.ts';
import { Secret } from '../../src/base/secret.ts';
import { readChatGptLogin } from '../../src/credentials/chatgpt-login.ts';
import { refuses } from '../helpers/refusal.ts';
import { chatGptToken, type TokenClaims } from '../helpers/stored-login.ts';

function read(tokens: { access?: TokenClaims; id?: TokenClaims; accountId?: string }) {
  const stored: StoredTokens = {
    accessToken: new Secret(chatGptToken(tokens.access ?? {})),
    idToken: tokens.id ? new Secret(chatGptToken(tokens.id)) : null,
    refreshToken: null,
    accountId: tokens.accountId ?? null,
    provenance: null,
    place: 'auth.json',
  };
  return readChatGptLogin(stored, 'then');
}

const access = {
  accountId: 'account-access',
  userId: 'user-access',
  plan: 'free',
  email: 'access@example.com',
  exp: 1_795_000_000,
};
const id = {
  accountId: 'account-id',
  userId: 'user-id',
  plan: 'pro',
  email: 'id@example.com',
  exp: 1_700_000_000,
};

t.test('account id: the stored one, the id token, the access token', async (t) => {
  t.equal(read({ access, id, accountId: 'account-stored' }).account.id, 'account-stored');
  t.equal(read({ access, id }).account.id, 'account-id');
  t.equal(read({ access, id: {} }).account.id, 'account-access');
  t.equal(read({ access }).account.id, 'account-access');
});

t.test('everything else: the id token, then the access token', async (t) => {
  const both = read({ access, id });
  t.match(both.account, { email: 'id@example.com', planType: 'pro' });
  t.equal(both.userId, 'user-id');
  const one = read({ access, id: { accountId: 'account-id' } });
  t.match(one.account, { email: 'access@example.com', planType: 'free' });
  t.equal(one.userId, 'user-access');
});

t.test('the access token alone says when it ends', async (t) => {
  t.equal(read({ access, id }).expiresAt, 1_795_000_000_000);
  t.equal(read({ access: { accountId: 'a' }, id }).expiresAt, null);
  t.equal(read({ access, id }).lastRefresh, 'then');
});

t.test('FedRAMP when either token says so', async (t) => {
  const fedramp = true;
  t.equal(read({ access: { ...access, fedramp }, id }).account.fedramp, true);
  t.equal(read({ access, id: { ...id, fedramp } }).account.fedramp, true);
  t.equal(read({ access, id }).account.fedramp, false);
});

t.test('without an account id there is no login', async (t) => {
  const message = 'auth.json tokens.account_id: is missing, and no token names one';
  await refuses(t, () => read({ access: {}, id: {} }), message, []);
});

t.test('tokens that are no JWT are refused by name', async (t) => {
  const good = new Secret(chatGptToken(access));
  const bad = new Secret('hush');
  const stored = { accountId: 'a', refreshToken: null, provenance: null, place: 'auth.json' };
  await refuses(
    t,
    () => readChatGptLogin({ ...stored, accessToken: bad, idToken: good }, null),
    'auth.json tokens.access_token: is not a JWT',
    ['hush'],
  );
  await refuses(
    t,
    () => readChatGptLogin({ ...stored, accessToken: good, idToken: bad }, null),
    'auth.json tokens.id_token: is not a JWT',
    ['hush'],
  );
});

t.test('an account id that a header cannot carry is refused by name', async (t) => {
  const message = `auth.json tokens.account_id: ${NOT_HEADER_TEXT}`;
  await refuses(t, () => read({ access: { ...access, accountId: 'acc\nount' } }), message, [
    'acc\nount',
  ]);
});
