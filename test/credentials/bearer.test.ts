import t from 'tap';
import { Secret } from '../../src/base/secret.ts';
import { ChatGptBearer } from '../../src/credentials/chatgpt-bearer.ts';
import { ChatGptSession } from '../../src/credentials/chatgpt-session.ts';
import { PersonalAccessToken } from '../../src/credentials/personal-access-token.ts';
import { StaticBearer } from '../../src/credentials/static-bearer.ts';
import { makeAuthHome } from '../helpers/auth-home.ts';
import { captureLog } from '../helpers/captured-log.ts';
import { failureOf } from '../helpers/failure.ts';

const EXPIRES = Date.parse('2026-11-30T00:00:00Z');
const MINUTE = 60_000;

/** A login with a refresh token, for which nothing is stored and no endpoint answers. */
function bearerOf(expiresAt: number | null, now: () => number, fedramp = false): ChatGptBearer {
  const login = {
    accessToken: new Secret('hush'),
    idToken: null,
    refreshToken: new Secret('once'),
    account: { id: 'account-1', email: null, planType: null, fedramp },
    userId: 'user-1',
    expiresAt,
    lastRefresh: '2026-11-20T00:00:00Z',
    provenance: null,
  };
  const session = new ChatGptSession(login, {
    store: makeAuthHome(t).store,
    oauth: () => ({
      tokenUrl: '',
      revokeUrl: '',
      clientId: '',
      http: () => Promise.reject(new Error('not asked')),
    }),
    now,
    monotonicNow: now,
    backendNow: now,
    schedule: () => () => undefined,
    log: captureLog().log,
  });
  return new ChatGptBearer(session, {
    monotonicNow: now,
    backendNow: now,
    schedule: () => () => undefined,
  });
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
  const headers = await bearerOf(EXPIRES, () => 0, true).headers();
  t.match(headers, { kind: 'bearer', accountId: 'account-1', fedramp: true });
  t.equal(headers.authorization.reveal(), 'Bearer hush');
  t.notMatch(JSON.stringify(headers), 'hush');
});

t.test(
  'a token that does not say when it ends is due five minutes before Codex renews it',
  async (t) => {
    let now = Date.parse('2026-11-27T23:54:59Z');
    const bearer = bearerOf(null, () => now);
    t.ok(bearer.isReady());
    t.match(bearer.status(), { state: 'valid', expiresAt: null });
    now = Date.parse('2026-11-27T23:55:00Z');
    t.ok(bearer.isReady());
    t.equal(bearer.status().state, 'expiring');
  },
);

t.test('is expiring for the last ten minutes, and then over', async (t) => {
  let now = EXPIRES - 10 * MINUTE - 1;
  const bearer = bearerOf(EXPIRES, () => now);
  t.match(bearer.status(), { state: 'valid', expiresAt: '2026-11-30T00:00:00.000Z' });
  now = EXPIRES - 10 * MINUTE;
  t.equal(bearer.status().state, 'expiring');
  now = EXPIRES - 1;
  t.ok(bearer.isReady());
  t.match(bearer.headers(), { kind: 'bearer' }, 'at once, without a refresh');
  now = EXPIRES;
  t.notOk(bearer.isReady());
  t.equal(bearer.status().state, 'failed');
});

t.test('an expired token is never sent', async (t) => {
  const bearer = bearerOf(EXPIRES, () => EXPIRES);
  const error = await failureOf(() => bearer.headers());
  t.equal(error.code, 'AUTH_REFRESH_FAILED');
  t.match(error.message, /no longer holds a login; sign in again/);
  t.equal(bearer.status().lastError, error.message);
});

t.test('an account id that no header can carry is refused where it comes in', async (t) => {
  const fields = { chatgpt_account_id: 'account\n1', chatgpt_plan_type: 'pro' };
  const token = new PersonalAccessToken(new Secret('at-1'), {
    authApiBaseUrl: 'https://auth.example',
    http: async () => ({
      status: 200,
      text: JSON.stringify(fields),
      headers: {},
      retryAfterMs: null,
    }),
    monotonicNow: () => 0,
    from: 'auth.json',
  });
  const error = await failureOf(() => token.headers());
  t.equal(error.code, 'AUTH_IDENTITY_UNAVAILABLE');
  t.match(error.message, /chatgpt_account_id in the response of AuthAPI holds a space/);
});
