import t from 'tap';
import {
  getModels,
  type Home,
  infer,
  MODELS,
  startSidecarWithClock,
  TOKEN,
  times,
  WITH_IDENTITY,
} from '../helpers/sidecar-with-clock.ts';

t.test('100 simultaneous 401s on a bearer route lead to one refresh', async (t) => {
  const scene = await startSidecarWithClock(t);
  t.equal((await getModels(scene)).status, 200);
  scene.emulator.expireAccessTokens();
  const answers = await times(100, () => getModels(scene));
  t.ok(answers.every(({ status }) => status === 200));
  t.equal(scene.count(TOKEN), 1);
});

t.test('100 requests with an expired access token lead to one refresh', async (t) => {
  const scene = await startSidecarWithClock(t, { emulator: { accessTokenLifetimeSeconds: 3600 } });
  await getModels(scene);
  scene.emulator.addFault({ path: TOKEN, status: 503 });
  scene.time.advance(3_600_000);
  const since = scene.emulator.records.length;
  await scene.emulator.waitFor(({ path, status }) => path === TOKEN && status === 503);
  while ((await scene.status()).bearer.state === 'refreshing');
  scene.time.advance(10_000);
  const answers = await times(100, () => getModels(scene));
  t.ok(answers.every(({ status }) => status === 200));
  t.equal(scene.count(TOKEN, since), 2, 'the one that failed in the background, and one');
  const served = scene.emulator.records.filter(({ path }) => path === MODELS);
  t.ok(
    served.every(({ auth }) => auth.verified),
    'no expired token was sent',
  );
});

t.test('a late 401 for a token that was refreshed meanwhile: a replay, no refresh', async (t) => {
  const scene = await startSidecarWithClock(t);
  await getModels(scene);
  scene.emulator.addFault({ path: MODELS, status: 401, delayMs: 400, body: {} });
  const since = scene.emulator.records.length;
  const late = getModels(scene);
  await scene.emulator.waitFor(({ seq }) => seq === since + 1);
  scene.emulator.expireAccessTokens();
  t.equal((await getModels(scene)).status, 200);
  t.equal((await late).status, 200);
  t.equal(scene.count(TOKEN), 1);
});

t.test('tokens that another process has refreshed are taken from the file', async (t) => {
  const scene = await startSidecarWithClock(t);
  await getModels(scene);
  scene.emulator.expireAccessTokens();
  const stored = scene.home.read();
  // The tokens of a new login of the same account stand for refreshed ones.
  const { authJson } = scene.emulator.issueLogin(accountOf(scene.home));
  scene.home.write({ ...stored, tokens: authJson.tokens });
  const since = scene.emulator.records.length;
  t.equal((await getModels(scene)).status, 200);
  t.equal(scene.count(TOKEN, since), 0);
});

t.test(
  'a second 401 passes on; a path that refuses every token does not burn refresh tokens',
  async (t) => {
    const scene = await startSidecarWithClock(t);
    scene.emulator.addFault({ path: MODELS, status: 401, times: 0, body: { detail: 'No' } });
    for (const _ of [1, 2, 3, 4, 5, 6]) {
      const answer = await getModels(scene);
      t.equal(answer.status, 401);
      t.equal(answer.text, '{"detail":"No"}');
    }
    t.equal(scene.count(MODELS), 9, 'three replays');
    t.equal(scene.count(TOKEN), 3);
    scene.time.advance(60_000);
    await getModels(scene);
    t.equal(scene.count(TOKEN), 4, 'a minute later it is tried again');
  },
);

t.test('a refresh that fails lets the 401 through', async (t) => {
  const scene = await startSidecarWithClock(t);
  scene.emulator.expireAccessTokens();
  scene.emulator.addFault({ path: TOKEN, status: 500 });
  const answer = await getModels(scene);
  t.equal(answer.status, 401);
  t.equal(answer.code, null);
  t.equal(scene.count(MODELS), 1, 'no replay with the same token');
  t.equal((await scene.status()).status, 'degraded');
});

for (const fault of [
  { status: 403, body: { detail: 'Forbidden' } },
  { status: 401, body: 'challenge', headers: { 'cf-mitigated': 'challenge' } },
  { status: 503, body: { error: { code: 'throttled' } } },
]) {
  t.test(`${fault.status} ${JSON.stringify(fault.body)} leads to no refresh`, async (t) => {
    const scene = await startSidecarWithClock(t);
    scene.emulator.addFault({ path: MODELS, ...fault });
    t.equal((await getModels(scene)).status, fault.status);
    t.equal(scene.count(TOKEN), 0);
  });
}

t.test(
  'an access token that the registration of an agent refuses is refreshed first',
  async (t) => {
    const scene = await startSidecarWithClock(t, { config: WITH_IDENTITY });
    scene.emulator.expireAccessTokens();
    t.equal((await infer(scene)).status, 200);
    t.equal(scene.count(TOKEN), 1);
    t.equal(scene.count('/agent/register'), 2);
  },
);

function accountOf(home: Home): { accountId: string; userId: string } {
  const token = String(home.field('tokens', 'access_token'));
  const payload = JSON.parse(Buffer.from(token.split('.')[1] ?? '', 'base64url').toString());
  const claims = payload['https://api.openai.com/auth'];
  return { accountId: claims.chatgpt_account_id, userId: claims.chatgpt_user_id };
}
