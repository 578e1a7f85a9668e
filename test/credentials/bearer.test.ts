import t from 'tap';
import { ChatGptBearer } from '../../src/credentials/chatgpt-bearer.ts';
import { StaticBearer } from '../../src/credentials/static-bearer.ts';
import { Secret } from '../../src/secret.ts';
import { failureOf } from '../helpers/failure.ts';

const EXPIRES = Date.parse('2026-11-30T00:00:00Z');
const MINUTE = 60_000;

function login(expiresAt: number | null, fedramp = false) {
  const account = { id: 'account-1', email: null, planType: null, fedramp };
  const accessToken = new Secret('hush');
  return { accessToken, account, userId: 'user-1', expiresAt, lastRefresh: 'then' };
}

t.test('an API key is a bearer without an account', async (t) => {
  const bearer = new StaticBearer(new Secret('sk'), null, false);
  const headers = bearer.headers();
  t.match(headers, { kind: 'bearer', accountId: null, fedramp: false });
  t.equal(headers.authorization.reveal(), 'Bearer sk');
  t.equal(bearer.headers(), headers, 'the same set each time');
  t.equal(bearer.status().state, 'valid');
});

t.test('a login adds account and FedRAMP', async (t) => {
  const headers = new ChatGptBearer(login(null, true), () => 0).headers();
  t.match(headers, { kind: 'bearer', accountId: 'account-1', fedramp: true });
  t.equal(headers.authorization.reveal(), 'Bearer hush');
  t.notMatch(JSON.stringify(headers), 'hush');
});

t.test('a token that does not say when it ends stays valid', async (t) => {
  const bearer = new ChatGptBearer(login(null), () => Number.MAX_SAFE_INTEGER);
  t.ok(bearer.isReady());
  t.match(bearer.status(), { state: 'valid', expiresAt: null, lastRefreshAt: 'then' });
});

t.test('is expiring for the last five minutes, and then over', async (t) => {
  let now = EXPIRES - 5 * MINUTE - 1;
  const bearer = new ChatGptBearer(login(EXPIRES), () => now);
  t.match(bearer.status(), { state: 'valid', expiresAt: '2026-11-30T00:00:00.000Z' });
  now = EXPIRES - 5 * MINUTE;
  t.equal(bearer.status().state, 'expiring');
  now = EXPIRES - 1;
  t.ok(bearer.isReady());
  t.equal(bearer.headers().authorization.reveal(), 'Bearer hush');
  now = EXPIRES;
  t.notOk(bearer.isReady());
  t.equal(bearer.status().state, 'failed');
});

t.test('an expired token is never sent', async (t) => {
  const bearer = new ChatGptBearer(login(EXPIRES), () => EXPIRES);
  const error = await failureOf(() => bearer.headers());
  t.equal(error.code, 'AUTH_CREDENTIAL_INVALID');
  t.match(error.message, /tokens\.access_token: expired at 2026-11-30T00:00:00\.000Z; sign in/);
  t.equal(bearer.status().lastError, error.message);
});
