import t, { type Test } from 'tap';
import { FileAuthStore } from '../../src/auth-store/file-store.ts';
import { createLogger } from '../../src/base/logger.ts';
import { readChatGptLogin } from '../../src/credentials/chatgpt-login.ts';
import { ChatGptSession } from '../../src/credentials/chatgpt-session.ts';
import { startEmulator } from '../../src/emulator/index.ts';
import type { HttpClient, TextResponse } from '../../src/upstream/http-client.ts';
import { FakeTime } from '../helpers/fake-time.ts';
import { Home } from '../helpers/sidecar-with-clock.ts';

/** A session whose token endpoint responds when the test says so. */
async function start(t: Test) {
  const emulator = await startEmulator();
  t.teardown(() => emulator.close());
  const home = new Home(t);
  home.write(emulator.issueLogin().authJson);
  const store = new FileAuthStore(home.folder);
  const tokens = (await store.load())?.tokens;
  if (!tokens) throw new Error('no login');
  const time = new FakeTime();
  const responses: ((response: TextResponse) => void)[] = [];
  const http: HttpClient = () => new Promise((resolve) => responses.push(resolve));
  const session = new ChatGptSession(readChatGptLogin(tokens, null), {
    store,
    now: time.now,
    monotonicNow: time.monotonicNow,
    backendNow: time.now,
    schedule: time.schedule,
    log: createLogger({ level: 'silent' }),
    oauth: () => ({ tokenUrl: '', revokeUrl: '', clientId: 'client', http, waitMs: 1 }),
  });
  const fresh = emulator.issueLogin({
    accountId: session.login.account.id,
    userId: session.login.userId ?? '',
  });
  const granted = { access_token: fresh.accessToken, refresh_token: fresh.refreshToken };
  const respond = (status = 200, body: object = granted) =>
    responses.shift()?.({ status, headers: {}, retryAfterMs: null, text: JSON.stringify(body) });
  return { home, session, fresh, respond, responses, time };
}

t.test('a response that nobody waited for is used and stored', async (t) => {
  const { home, session, fresh, respond, responses, time } = await start(t);
  const used = session.login.accessToken;
  await t.rejects(session.renew(used, true), { code: 'AUTH_REFRESH_UNAVAILABLE' });
  time.advance(3_600_000);
  await t.rejects(session.renew(used, true), { code: 'AUTH_REFRESH_UNAVAILABLE' });
  t.equal(responses.length, 1, 'the refresh token is on its way once');
  respond();
  await session.settle();
  t.equal(session.login.accessToken.reveal(), fresh.accessToken);
  t.equal(home.field('tokens', 'refresh_token'), fresh.refreshToken);
  t.equal(session.lastError, null);
});

t.test('not so when somebody else has stored other tokens meanwhile', async (t) => {
  const { home, session, respond } = await start(t);
  await t.rejects(session.renew(session.login.accessToken, true));
  const stored = home.read();
  const tokens = { ...(stored.tokens as object), refresh_token: 'of-another-process' };
  home.write({ ...stored, tokens });
  respond();
  await session.settle();
  t.equal(home.field('tokens', 'refresh_token'), 'of-another-process');
  t.equal(session.login.refreshToken?.reveal(), 'of-another-process');
});

t.test(
  'a late refusal ends nothing while another program may still store its tokens',
  async (t) => {
    const { home, session, fresh, respond, responses, time } = await start(t);
    await t.rejects(session.renew(session.login.accessToken, true));
    respond(401, { error: { code: 'refresh_token_reused' } });
    await session.settle();
    t.notOk(session.isOver());
    t.match(session.lastError, /refresh_token_reused, and no other program/);
    const stored = home.read();
    const { accessToken: access_token, refreshToken: refresh_token } = fresh;
    home.write({ ...stored, tokens: { ...Object(stored.tokens), access_token, refresh_token } });
    time.advance(1_000);
    await session.renew(session.login.accessToken, true);
    t.equal(session.login.accessToken.reveal(), fresh.accessToken);
    t.equal(session.lastError, null);
    t.equal(responses.length, 0, 'and nothing is sent');
  },
);
