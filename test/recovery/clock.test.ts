import t from 'tap';
import {
  getModels,
  infer,
  MODELS,
  RESPONSES,
  startSidecarWithClock,
  WITH_IDENTITY,
} from '../helpers/sidecar-with-clock.ts';

const stampOf = (authorization: string) => {
  const [, token = ''] = authorization.split(' ');
  return JSON.parse(Buffer.from(token, 'base64url').toString()).timestamp;
};

for (const dateSkewSeconds of [3600, -3600]) {
  t.test(`a backend whose clock is ${dateSkewSeconds} s ahead`, async (t) => {
    const scene = await startSidecarWithClock(t, { config: WITH_IDENTITY });
    scene.emulator.settings.dateSkewSeconds = dateSkewSeconds;
    t.equal((await infer(scene)).status, 200);
    const record = scene.emulator.records.findLast(({ path }) => path === RESPONSES);
    const expected = new Date(scene.time.now() + dateSkewSeconds * 1000).toISOString();
    t.equal(stampOf(record?.headers.authorization ?? ''), `${expected.slice(0, 19)}Z`);
    t.equal((await scene.status()).upstream.clockSkewSeconds, -dateSkewSeconds);
    t.equal(scene.log.filter((line) => line.includes('the clock differs')).length, 1);
    scene.emulator.settings.dateSkewSeconds = 0;
    scene.time.advance(1000);
    await getModels(scene);
    t.equal((await infer(scene)).status, 200);
    t.equal((await scene.status()).upstream.clockSkewSeconds, 0);
  });
}

t.test('the date of an answer out of a cache says nothing', async (t) => {
  const scene = await startSidecarWithClock(t, { config: WITH_IDENTITY });
  t.equal((await infer(scene)).status, 200);
  const headers = { date: new Date(scene.time.now() - 3_600_000).toUTCString(), age: '3600' };
  scene.emulator.addFault({ path: MODELS, headers });
  scene.emulator.addFault({ path: '/oauth/token', headers });
  t.equal((await getModels(scene)).status, 200);
  t.equal((await scene.status()).upstream.clockSkewSeconds, 0);
  scene.emulator.expireAccessTokens();
  t.equal((await getModels(scene)).status, 200);
  t.equal((await scene.status()).upstream.clockSkewSeconds, 0);
});

t.test('a proxied response alone tells the time of the backend', async (t) => {
  const scene = await startSidecarWithClock(t);
  scene.emulator.settings.dateSkewSeconds = 120;
  t.equal((await getModels(scene)).status, 200);
  t.equal((await scene.status()).upstream.clockSkewSeconds, -120);
  t.equal(scene.count('/oauth/token'), 0, 'no call of our own has told it');
});

t.test('up to 30 seconds are reported and not corrected', async (t) => {
  const scene = await startSidecarWithClock(t, { config: WITH_IDENTITY });
  scene.emulator.settings.dateSkewSeconds = -30;
  await getModels(scene);
  t.equal((await infer(scene)).status, 200);
  const record = scene.emulator.records.findLast(({ path }) => path === RESPONSES);
  t.equal(stampOf(record?.headers.authorization ?? ''), '2026-11-20T21:30:36Z');
  t.equal((await scene.status()).upstream.clockSkewSeconds, 30);
});

t.test('an access token that only our own clock finds expired is used', async (t) => {
  const scene = await startSidecarWithClock(t, { emulator: { accessTokenLifetimeSeconds: 3600 } });
  scene.emulator.settings.dateSkewSeconds = -7200;
  scene.home.write(scene.emulator.issueLogin().authJson);
  await scene.sidecar.reload();
  for (const _ of [1, 2, 3]) t.equal((await getModels(scene)).status, 200);
  t.equal(scene.count('/oauth/token'), 1, 'only before the first answer told the time');
});

for (const aheadSeconds of [3 * 3600, 23 * 3600, 48 * 3600]) {
  t.test(`one bad clock causes no refresh: upstream ${aheadSeconds} s ahead`, async (t) => {
    const scene = await startSidecarWithClock(t, {
      emulator: { accessTokenLifetimeSeconds: 3600 },
    });
    const date = new Date(scene.time.now() + aheadSeconds * 1000).toUTCString();
    scene.emulator.addFault({ path: MODELS, times: 0, headers: { date } });
    for (let i = 0; i < 5; i++) t.equal((await getModels(scene)).status, 200);
    t.equal(scene.count('/oauth/token'), 0);
    scene.time.advance(56 * 60_000);
    await scene.emulator.waitFor(({ path, complete }) => path === '/oauth/token' && complete);
    for (let i = 0; i < 5; i++) t.equal((await getModels(scene)).status, 200);
    t.equal(scene.count('/oauth/token'), 1, 'the one that was due');
  });
}

t.test('refreshes have a rate of their own, whatever asks for them', async (t) => {
  const scene = await startSidecarWithClock(t, { emulator: { accessTokenLifetimeSeconds: 60 } });
  let last = await getModels(scene);
  // A token that lives for a second expires for each request.
  for (let i = 0; i < 20; i++) {
    scene.time.advance(20_000);
    scene.emulator.expireAccessTokens();
    last = await getModels(scene);
  }
  t.ok(scene.count('/oauth/token') <= 10, String(scene.count('/oauth/token')));
  t.ok(last.status === 401 || last.status === 503, String(last.status));
  scene.time.advance(10 * 60_000);
  t.equal((await getModels(scene)).status, 200, 'and goes on');
});
