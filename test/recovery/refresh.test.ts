import t from 'tap';
import {
  getModels,
  MODELS,
  type SidecarWithClock,
  startSidecarWithClock,
  TOKEN,
} from '../helpers/sidecar-with-clock.ts';
import { chatGptToken } from '../helpers/stored-login.ts';

const MINUTE = 60_000;
const LIFETIME = { emulator: { accessTokenLifetimeSeconds: 3600 } };
const isRefresh = ({ path, complete }: { path: string; complete: boolean }) =>
  path === TOKEN && complete;

/** The background refresh has ended, with its result in place. */
async function settled(scene: SidecarWithClock): Promise<void> {
  await scene.emulator.waitFor(isRefresh);
  while ((await scene.status()).bearer.state === 'refreshing');
}

t.test('the token is refreshed in the background, up to a minute before it must be', async (t) => {
  const scene = await startSidecarWithClock(t, LIFETIME);
  await getModels(scene);
  const [delay = 0, ...others] = scene.time.delays;
  t.strictSame(others, []);
  t.ok(delay > 49 * MINUTE - 1000 && delay <= 50 * MINUTE, `${delay} ms, before Codex would`);
  scene.emulator.addFault({ path: TOKEN, delayMs: 200 });
  const before = scene.home.field('tokens', 'access_token');
  scene.time.advance(50 * MINUTE);
  await scene.emulator.waitFor(({ path }) => path === TOKEN);
  t.equal((await getModels(scene)).status, 200, 'no request waits for it');
  t.equal(scene.home.field('tokens', 'access_token'), before, 'it went out with the old token');
  await settled(scene);
  t.not(scene.home.field('tokens', 'access_token'), before);
  t.equal(scene.home.read().last_refresh, '2026-11-20T22:20:36.250Z');
  t.equal(scene.time.delays.length, 1, 'and the next one is planned');
  t.equal((await scene.status()).bearer.lastRefreshAt, '2026-11-20T22:20:36.250Z');
});

const HOUR = 60 * MINUTE;
const DUE: [what: string, store: object, lifetime: number, due: number, jitter: number][] = [
  ['with a file', { kind: 'file' }, 10 * HOUR, 10 * HOUR - 10 * MINUTE, MINUTE],
  ['with a shared store', { kind: 'postgres' }, 24 * HOUR, 21.6 * HOUR, 10 * MINUTE],
  ['a day early at most', { kind: 'postgres' }, 480 * HOUR, 456 * HOUR, 10 * MINUTE],
  ['before Codex always', { kind: 'postgres' }, HOUR, 50 * MINUTE, MINUTE],
  ['as it is set', { refreshAheadSeconds: 7_200 }, 10 * HOUR, 8 * HOUR, 10 * MINUTE],
];
for (const [what, store, lifetime, due, jitter] of DUE) {
  t.test(`when a refresh is due: ${what}`, async (t) => {
    const scene = await startSidecarWithClock(t, {
      config: { store },
      emulator: { accessTokenLifetimeSeconds: lifetime / 1_000 },
    });
    await getModels(scene);
    const [delay = 0] = scene.time.delays;
    t.ok(delay > due - jitter - 1_000 && delay <= due, `in ${delay / MINUTE} minutes`);
  });
}

t.test('a background refresh that fails is tried again while the token lives', async (t) => {
  const scene = await startSidecarWithClock(t, LIFETIME);
  await getModels(scene);
  scene.emulator.addFault({ path: TOKEN, status: 503 });
  scene.time.advance(55 * MINUTE);
  await settled(scene);
  const status = await scene.status();
  t.equal(status.status, 'degraded');
  t.equal(status.bearer.state, 'expiring');
  t.match(status.bearer.lastError, /status 503/);
  t.equal((await getModels(scene)).status, 200);
  t.strictSame(scene.time.delays, [15_000]);
  scene.time.advance(15_000);
  await scene.emulator.waitFor(({ path, status }) => path === TOKEN && status === 200);
  while ((await scene.status()).status !== 'ready');
  t.equal(scene.count(TOKEN), 2);
});

t.test('absent fields keep their old values, unknown ones stay', async (t) => {
  const account = { accountId: 'account-1', userId: 'user-1' };
  const scene = await startSidecarWithClock(t, {
    authJson: (emulator) => {
      const { authJson } = emulator.issueLogin(account);
      return { ...authJson, extra: [1], tokens: { ...authJson.tokens, more: 'kept' } };
    },
  });
  const before = scene.home.read();
  scene.emulator.expireAccessTokens();
  const { access_token } = scene.emulator.issueLogin(account).authJson.tokens;
  scene.emulator.addFault({ path: TOKEN, body: { access_token } });
  t.equal((await getModels(scene)).status, 200);
  t.strictSame(scene.home.read(), {
    ...before,
    last_refresh: '2026-11-20T21:30:36.250Z',
    tokens: { ...Object(before.tokens), access_token },
  });
  t.equal(scene.time.delays.length, 1, 'the next refresh is planned');
  scene.emulator.expireAccessTokens();
  t.equal((await getModels(scene)).status, 200, 'the old refresh token serves the next refresh');
});

t.test('a permanent failure is remembered until the file changes', async (t) => {
  const scene = await startSidecarWithClock(t, LIFETIME);
  await getModels(scene);
  const body = { error: { code: 'refresh_token_reused' } };
  scene.emulator.addFault({ path: TOKEN, status: 400, times: 0, body });
  scene.time.advance(55 * MINUTE);
  await settled(scene);
  t.equal((await getModels(scene)).status, 200, 'the token still lives');
  scene.time.advance(5 * MINUTE);
  for (const _ of [1, 2]) {
    const answer = await getModels(scene);
    t.equal(answer.status, 400);
    t.equal(answer.code, 'AUTH_REFRESH_FAILED');
    t.match(answer.text, /refresh_token_reused; sign in again/);
  }
  t.equal(scene.count(TOKEN), 1, 'one request to the token endpoint in all');
  t.strictSame(scene.time.delays, [], 'and none is planned');
  await scene.sidecar.reload();
  t.equal((await getModels(scene)).code, 'AUTH_REFRESH_FAILED', 'a reload of the same file');
  t.equal(scene.count(TOKEN), 1);
  scene.emulator.clearFaults();
  scene.home.write(scene.emulator.issueLogin().authJson);
  await scene.sidecar.reload();
  t.equal((await getModels(scene)).status, 200);
  t.equal((await scene.status()).status, 'ready');
});

t.test('a refresh whose outcome is unknown is an error that passes', async (t) => {
  const scene = await startSidecarWithClock(t, LIFETIME);
  await getModels(scene);
  scene.emulator.addFault({ path: TOKEN, action: 'reset' });
  scene.time.advance(61 * MINUTE);
  const answer = await getModels(scene);
  t.equal(answer.status, 503);
  t.equal(answer.code, 'AUTH_REFRESH_UNAVAILABLE');
  t.equal(answer.headers.get('retry-after'), '60');
  t.equal(scene.count(TOKEN), 1, 'it may have been carried out, so it is not sent again');
  scene.time.advance(59_000);
  t.equal((await getModels(scene)).code, 'AUTH_REFRESH_UNAVAILABLE');
  t.equal(scene.count(TOKEN), 1, 'and there is a pause');
  scene.time.advance(1000);
  t.equal((await getModels(scene)).status, 200, 'with nothing left to lose it is tried');
});

t.test('a refresh token that may be spent is kept back while the old token lives', async (t) => {
  const scene = await startSidecarWithClock(t, LIFETIME);
  await getModels(scene);
  scene.emulator.addFault({ path: TOKEN, action: 'reset' });
  scene.time.advance(55 * MINUTE);
  while ((await scene.status()).bearer.lastError === null);
  for (let minute = 56; minute < 60; minute++) {
    scene.time.advance(MINUTE);
    t.equal((await getModels(scene)).status, 200);
    t.equal((await scene.status()).status, 'degraded');
  }
  t.equal(scene.count(TOKEN), 1, 'no timer sends it');
  scene.emulator.expireAccessTokens();
  t.equal((await getModels(scene)).status, 200, 'until the upstream refuses the old token');
  t.equal(scene.count(TOKEN), 2);
});

const UNREADABLE = ['no JWT', 'a.b.c'];
for (const access_token of UNREADABLE) {
  t.test(`an answer with the access token "${access_token}" spoils nothing`, async (t) => {
    const account = { accountId: 'account-1', userId: 'user-1' };
    const scene = await startSidecarWithClock(t, {
      ...LIFETIME,
      authJson: (emulator) => emulator.issueLogin(account).authJson,
    });
    await getModels(scene);
    const before = scene.home.read();
    const { refresh_token } = scene.emulator.issueLogin(account).authJson.tokens;
    scene.emulator.addFault({ path: TOKEN, body: { access_token, refresh_token } });
    scene.time.advance(55 * MINUTE);
    await settled(scene);
    t.equal((await getModels(scene)).status, 200, 'the old token serves on');
    t.match((await scene.status()).bearer.lastError, /sent tokens that cannot be read/);
    const tokens = { ...Object(before.tokens), refresh_token };
    t.strictSame(scene.home.read(), { ...before, tokens }, 'the new refresh token is kept');
    scene.time.advance(15_000);
    await scene.emulator.waitFor(({ path, status }) => path === TOKEN && status === 200);
    while ((await scene.status()).status !== 'ready');
  });
}

for (const withId of [true, false]) {
  const stored = `with${withId ? '' : 'out'} an account id in the file`;
  t.test(`an answer with the tokens of another account is not taken, ${stored}`, async (t) => {
    const scene = await startSidecarWithClock(t, {
      authJson: (emulator) => {
        const { authJson } = emulator.issueLogin();
        const { account_id, ...tokens } = authJson.tokens;
        return { ...authJson, tokens: withId ? { ...tokens, account_id } : tokens };
      },
    });
    const before = scene.home.read();
    scene.emulator.expireAccessTokens();
    scene.emulator.addFault({ path: TOKEN, body: scene.emulator.issueLogin().authJson.tokens });
    t.equal((await getModels(scene)).status, 401, "the upstream's answer to the old token");
    t.match((await scene.status()).bearer.lastError, /tokens of another account; sign in again/);
    t.strictSame(scene.home.read(), before);
  });
}

t.test('an answer that names no user is taken', async (t) => {
  const account = { accountId: 'account-1', userId: 'user-1' };
  const scene = await startSidecarWithClock(t, {
    ...LIFETIME,
    authJson: (emulator) => emulator.issueLogin(account).authJson,
  });
  await getModels(scene);
  const exp = Math.floor(scene.time.now() / 1000) + 100_000;
  const access_token = chatGptToken({ accountId: 'account-1', exp });
  scene.emulator.addFault({ path: TOKEN, body: { access_token, refresh_token: 'next' } });
  scene.time.advance(55 * MINUTE);
  await settled(scene);
  t.match((await scene.status()).bearer, { state: 'valid', lastError: null });
  t.equal(scene.home.field('tokens', 'refresh_token'), 'next');
});

const NOTHING_LIVE: [name: string, body: (scene: SidecarWithClock) => object][] = [
  ['no access token', () => ({ refresh_token: 'next' })],
  [
    'an access token that is over',
    (scene) => ({
      refresh_token: 'next',
      access_token: chatGptToken({ exp: Math.floor(scene.time.now() / 1000) }),
    }),
  ],
];
for (const [name, body] of NOTHING_LIVE) {
  t.test(`an answer with ${name} does not lead to one refresh after the other`, async (t) => {
    const scene = await startSidecarWithClock(t, LIFETIME);
    await getModels(scene);
    scene.time.advance(61 * MINUTE);
    scene.emulator.addFault({ path: TOKEN, times: 0, body: body(scene) });
    for (const _ of [1, 2, 3]) {
      t.equal((await getModels(scene)).code, 'AUTH_REFRESH_UNAVAILABLE');
      await scene.sidecar.reload().catch(() => undefined);
    }
    t.equal(scene.count(TOKEN), 1);
    t.equal(scene.home.field('tokens', 'refresh_token'), 'next', 'which is not lost');
    const what = name === 'no access token' ? name : 'an expired access token';
    t.match((await scene.status()).bearer.lastError, `the token endpoint sent ${what}`);
  });
}

t.test('tokens that live for minutes are refreshed at half their time', async (t) => {
  const scene = await startSidecarWithClock(t, { emulator: { accessTokenLifetimeSeconds: 300 } });
  await getModels(scene);
  for (const _ of [1, 2]) {
    const [delay = 0] = scene.time.delays;
    t.ok(delay >= 1.5 * MINUTE - 1000 && delay <= 2.5 * MINUTE, `${delay} ms`);
    const before = scene.home.field('tokens', 'access_token');
    scene.time.advance(delay);
    while (scene.home.field('tokens', 'access_token') === before) await scene.status();
    await settled(scene);
  }
});

t.test('a refresh that is under way is waited for before exit', async (t) => {
  const scene = await startSidecarWithClock(t, LIFETIME);
  await getModels(scene);
  const before = scene.home.field('tokens', 'refresh_token');
  scene.emulator.addFault({ path: TOKEN, delayMs: 200 });
  scene.time.advance(55 * MINUTE);
  await scene.emulator.waitFor(({ path }) => path === TOKEN);
  await scene.sidecar.manager.settle();
  t.not(scene.home.field('tokens', 'refresh_token'), before);
});

t.test('another account in the file is an error, and no refresh', async (t) => {
  const scene = await startSidecarWithClock(t, LIFETIME);
  await getModels(scene);
  const mine = scene.home.read();
  scene.home.write(scene.emulator.issueLogin().authJson);
  scene.time.advance(61 * MINUTE);
  const answer = await getModels(scene);
  t.equal(answer.code, 'AUTH_REFRESH_FAILED');
  t.match(answer.text, /another account/);
  t.equal(scene.count(TOKEN), 0);
  scene.home.write(mine);
  scene.time.advance(10_000);
  t.equal((await getModels(scene)).status, 200, 'what the file says may be mended there');
});

t.test('tokens that an outside program looks after are never refreshed here', async (t) => {
  const scene = await startSidecarWithClock(t, {
    ...LIFETIME,
    authJson: (emulator) => ({ ...emulator.issueLogin().authJson, auth_mode: 'chatgptAuthTokens' }),
  });
  await getModels(scene);
  scene.time.advance(61 * MINUTE);
  const answer = await getModels(scene);
  t.equal(answer.code, 'AUTH_REFRESH_FAILED');
  t.match(answer.text, /cannot be refreshed; sign in again/);
  t.equal(scene.count(TOKEN), 0);
});

t.test('without an expiry a login is refreshed when it is eight days old', async (t) => {
  const scene = await startSidecarWithClock(t, {
    authJson: (emulator) => {
      const { authJson } = emulator.issueLogin();
      const { exp: _, ...claims } = payloadOf(authJson.tokens.access_token);
      const access_token = ['{"alg":"none"}', JSON.stringify(claims), 'signature']
        .map((part) => Buffer.from(part).toString('base64url'))
        .join('.');
      return { ...authJson, tokens: { ...authJson.tokens, access_token } };
    },
  });
  while ((await scene.status()).status !== 'ready');
  const [delay = 0] = scene.time.delays;
  const days = delay / (24 * 60 * MINUTE);
  t.ok(days > 7.99 && days <= 8, `${days} days`);
  scene.time.advance(delay);
  await settled(scene);
  t.equal((await getModels(scene)).status, 200);
  t.equal(scene.emulator.records.filter(({ path }) => path === MODELS).at(-1)?.auth.verified, true);
});

function payloadOf(token: string): Record<string, unknown> {
  return JSON.parse(Buffer.from(token.split('.')[1] ?? '', 'base64url').toString());
}
