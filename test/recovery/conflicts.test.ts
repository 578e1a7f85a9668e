import t from 'tap';
import type { AuthStore } from '../../src/auth-store/store.ts';
import { LockError } from '../../src/files/lock.ts';
import { aroundStore } from '../helpers/around-store.ts';
import {
  getModels,
  infer,
  lastTask,
  startAnotherSidecar,
  startSidecarWithClock,
  TOKEN,
  times,
  WITH_IDENTITY,
} from '../helpers/sidecar-with-clock.ts';

const REGISTER = '/api/accounts/v1/agent/register';

/** A store whose lock somebody else holds for longer than we wait, while `held` says so. */
function heldBy(held: () => boolean) {
  return (store: AuthStore): AuthStore =>
    aroundStore(store, {
      transact: (work) =>
        held() ? Promise.reject(new LockError('held', true)) : store.transact(work),
      register: (work) =>
        held() ? Promise.reject(new LockError('held', true)) : store.register(work),
    });
}

t.test('a lock that is held is never passed over: no refresh, no registration', async (t) => {
  let held = true;
  const scene = await startSidecarWithClock(t, {
    config: WITH_IDENTITY,
    emulator: { accessTokenLifetimeSeconds: 3600 },
    store: heldBy(() => held),
  });
  const noIdentity = await infer(scene);
  t.equal(noIdentity.code, 'AUTH_IDENTITY_UNAVAILABLE');
  scene.time.advance(3_600_000);
  const noToken = await getModels(scene);
  t.equal(noToken.code, 'AUTH_REFRESH_UNAVAILABLE');
  t.equal(scene.emulator.records.length, 0);
  held = false;
  scene.time.advance(10_000);
  t.equal((await getModels(scene)).status, 200);
  t.equal((await infer(scene)).status, 200);
});

t.test(
  'an expired login that has no identity yet: one refresh, one agent, no deadlock',
  async (t) => {
    const scene = await startSidecarWithClock(t, {
      config: WITH_IDENTITY,
      emulator: { accessTokenLifetimeSeconds: 3600 },
      authJson: () => null,
    });
    scene.home.write(scene.emulator.issueLogin().authJson);
    scene.time.advance(3_600_000);
    const [models, turns] = await Promise.all([
      times(20, () => getModels(scene)),
      times(20, () => infer(scene)),
    ]);
    t.ok([...models, ...turns].every(({ status }) => status === 200));
    t.equal(scene.count(TOKEN), 1);
    t.equal(scene.count('/agent/register'), 1);
    t.equal(scene.count('/task/register'), 1);
  },
);

t.test('two sidecars on one file share login, agent and task', async (t) => {
  const scene = await startSidecarWithClock(t, { config: WITH_IDENTITY });
  const other = await startAnotherSidecar(t, scene, { home: scene.home, config: WITH_IDENTITY });
  const answers = await Promise.all([scene, other].map((sidecar) => infer(sidecar)));
  t.strictSame(
    answers.map(({ status }) => status),
    [200, 200],
  );
  t.equal(scene.count('/agent/register'), 1);
  t.equal(scene.count('/task/register'), 1);
  scene.emulator.revokeTask(lastTask(scene.emulator));
  scene.emulator.expireAccessTokens();
  const since = scene.emulator.records.length;
  const both = [scene, other].flatMap((sidecar) => [
    times(20, () => infer(sidecar)),
    times(20, () => getModels(sidecar)),
  ]);
  const later = (await Promise.all(both)).flat();
  t.ok(later.every(({ status }) => status === 200));
  t.equal(scene.count('/task/register', since), 1);
  t.equal(scene.count(TOKEN, since), 1);
});

t.test('a login that somebody stores during a refresh is not written over', async (t) => {
  const scene = await startSidecarWithClock(t);
  await getModels(scene);
  scene.emulator.expireAccessTokens();
  scene.emulator.addFault({ path: TOKEN, delayMs: 200 });
  const asked = getModels(scene);
  await scene.emulator.waitFor(({ path }) => path === TOKEN);
  const { authJson, accountId } = scene.emulator.issueLogin();
  scene.home.write(authJson);
  await scene.sidecar.reload();
  t.equal((await asked).status, 200);
  t.strictSame(scene.home.read(), authJson);
  t.equal((await getModels(scene)).status, 200);
  t.equal(scene.emulator.records.at(-1)?.headers['chatgpt-account-id'], accountId);
});

t.test('another field that somebody changes during a refresh is kept', async (t) => {
  const scene = await startSidecarWithClock(t);
  await getModels(scene);
  scene.emulator.expireAccessTokens();
  scene.emulator.addFault({ path: TOKEN, delayMs: 200 });
  const asked = getModels(scene);
  await scene.emulator.waitFor(({ path }) => path === TOKEN);
  scene.home.write({ ...scene.home.read(), extra: 1 });
  t.equal((await asked).status, 200);
  t.equal(scene.home.read().extra, 1);
  t.equal(
    scene.emulator.records.at(-1)?.headers.authorization,
    `Bearer ${scene.home.field('tokens', 'access_token')}`,
  );
});

t.test('a logout during a refresh stays one', async (t) => {
  const scene = await startSidecarWithClock(t);
  await getModels(scene);
  scene.emulator.expireAccessTokens();
  scene.emulator.addFault({ path: TOKEN, delayMs: 200 });
  const asked = getModels(scene);
  await scene.emulator.waitFor(({ path }) => path === TOKEN);
  scene.home.write({});
  await t.rejects(scene.sidecar.reload(), { code: 'AUTH_NOT_CONFIGURED' });
  await asked;
  t.strictSame(scene.home.read(), {});
});

t.test('a logout during a registration stays one, and so does another login', async (t) => {
  const scene = await startSidecarWithClock(t, { config: WITH_IDENTITY });
  await infer(scene);
  for (const somebodyElse of [() => ({}), () => scene.emulator.issueLogin().authJson]) {
    scene.emulator.addFault({ path: REGISTER, delayMs: 300 });
    const since = scene.emulator.records.length;
    scene.home.write(scene.emulator.issueLogin().authJson);
    const reloaded = scene.sidecar.reload();
    await scene.emulator.waitFor(({ path, seq }) => path === REGISTER && seq > since);
    const asked = infer(scene);
    const stored = somebodyElse();
    scene.home.write(stored);
    t.equal((await asked).code, 'AUTH_CREDENTIAL_INVALID');
    await reloaded;
    t.strictSame(scene.home.read(), stored);
    t.equal(scene.count('/task/register', since), 0);
  }
});

t.test('a refresh does not wait for a registration, nor the other way round', async (t) => {
  const scene = await startSidecarWithClock(t, { config: WITH_IDENTITY });
  scene.emulator.addFault({ path: REGISTER, delayMs: 1_000 });
  const asked = infer(scene);
  const registration = await scene.emulator.waitFor(({ path }) => path === REGISTER);
  scene.emulator.expireAccessTokens();
  t.equal((await getModels(scene)).status, 200);
  t.equal(scene.count(TOKEN), 1);
  t.equal(registration.status, null, 'which is still under way');
  t.equal((await asked).status, 200);
  t.equal(scene.count(REGISTER), 1);
});
