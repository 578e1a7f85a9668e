import t, { type Test } from 'tap';
import {
  getModels,
  infer,
  lastTask,
  RESPONSES,
  type SidecarWithClockOptions,
  startSidecarWithClock,
  TOKEN,
  WITH_IDENTITY,
} from '../helpers/sidecar-with-clock.ts';

const ACCOUNT = { accountId: 'account-1', userId: 'user-1' };
const HOUR = 3_600_000;

/** Each kind of own call that requests wait for. */
const CALLS: [name: string, path: string, SidecarWithClockOptions, typeof infer][] = [
  ['a refresh', TOKEN, { emulator: { accessTokenLifetimeSeconds: 60 } }, getModels],
  [
    'the account of a personal access token',
    '/api/accounts/v1/user-auth-credential/whoami',
    {
      authJson: () => null,
      env: (emulator) => ({ CODEX_ACCESS_TOKEN: emulator.issuePersonalAccessToken(ACCOUNT) }),
    },
    getModels,
  ],
  [
    'the keys of a JWT',
    '/backend-api/wham/agent-identities/jwks',
    {
      authJson: () => null,
      env: (emulator) => ({ CODEX_ACCESS_TOKEN: emulator.issueIdentityToken() }),
    },
    infer,
  ],
  [
    'the registration of an agent',
    '/api/accounts/v1/agent/register',
    { config: WITH_IDENTITY },
    infer,
  ],
];

for (const [name, path, options, call] of CALLS) {
  const prepared = async (t: Test) => {
    const scene = await startSidecarWithClock(t, options);
    scene.time.advance(61_000);
    return scene;
  };

  for (const status of [429, 503]) {
    t.test(`own calls honour retry-after and pass it on: ${name}, ${status}`, async (t) => {
      const scene = await prepared(t);
      scene.emulator.addFault({ path, status, times: 0, headers: { 'retry-after': '1800' } });
      t.match(await call(scene), { status: 503 });
      t.equal(scene.count(path), 1, 'not repeated at once');
      scene.time.advance(1_700_000);
      const later = await call(scene);
      t.equal(later.status, 503);
      t.equal(later.headers.get('retry-after'), '100', 'what is left of it');
      t.equal(scene.count(path), 1);
      scene.emulator.clearFaults();
      scene.time.advance(100_000);
      t.equal((await call(scene)).status, 200);
    });
  }

  t.test(`own calls honour a retry-after that is a date: ${name}`, async (t) => {
    const scene = await prepared(t);
    const date = new Date(scene.time.now()).toUTCString();
    const until = new Date(scene.time.now() + 600_000).toUTCString();
    scene.emulator.addFault({ path, status: 429, headers: { date, 'retry-after': until } });
    t.equal((await call(scene)).headers.get('retry-after'), '600');
  });

  t.test(`no retry-after keeps us away for more than an hour: ${name}`, async (t) => {
    const scene = await prepared(t);
    const headers = { 'retry-after': '99999999999' };
    scene.emulator.addFault({ path, status: 429, headers });
    t.equal((await call(scene)).headers.get('retry-after'), '3600');
    scene.time.advance(HOUR);
    t.equal((await call(scene)).status, 200);
  });

  t.test(`without retry-after the pauses grow, up to five minutes: ${name}`, async (t) => {
    const scene = await prepared(t);
    scene.emulator.addFault({ path, status: 503, times: 0 });
    const pauses: number[] = [];
    for (let failure = 0; failure < 7; failure++) {
      const seconds = Number((await call(scene)).headers.get('retry-after'));
      pauses.push(seconds);
      scene.time.advance(seconds * 1000);
    }
    t.strictSame(
      pauses,
      [...pauses].sort((a, b) => a - b),
    );
    t.ok(pauses[1] === (pauses[0] ?? 0) * 2, String(pauses));
    t.equal(pauses.at(-1), 300);
    scene.emulator.clearFaults();
    t.equal((await call(scene)).status, 200);
  });
}

t.test('a run task is not replaced before AuthAPI wants to be asked again', async (t) => {
  const scene = await startSidecarWithClock(t, { config: WITH_IDENTITY });
  await infer(scene);
  scene.emulator.revokeTask(lastTask(scene.emulator));
  const path = '/api/accounts/*';
  scene.emulator.addFault({ path, status: 429, times: 0, headers: { 'retry-after': '1800' } });
  t.equal((await infer(scene)).status, 401);
  const tried = scene.count('/task/register');
  scene.emulator.clearFaults();
  scene.time.advance(1_700_000);
  t.equal((await infer(scene)).status, 401);
  t.equal(scene.count('/task/register'), tried);
  scene.time.advance(100_000);
  t.equal((await infer(scene)).status, 200);
  t.ok(scene.count(RESPONSES) > 0);
});
