import t from 'tap';
import {
  type Answer,
  getModels,
  infer,
  lastTask,
  type SidecarWithClock,
  type SidecarWithClockOptions,
  startSidecarWithClock,
  TOKEN,
  WITH_IDENTITY,
} from '../helpers/sidecar-with-clock.ts';
import { chatGptToken } from '../helpers/stored-login.ts';

const HOUR = 3_600_000;
/** Longer than each pause after a failure. */
const LONGEST_PAUSE = 61_000;
const ACCOUNT = { accountId: 'account-1', userId: 'user-1' };
const WHOAMI = '/api/accounts/v1/user-auth-credential/whoami';
const JWKS = '/backend-api/wham/agent-identities/jwks';
/** Expired before and after each step of the clock. */
const LONG_AGO = Date.parse('2020-01-01T00:00:00Z') / 1000;

const CREDENTIALS: [string, string, SidecarWithClockOptions, typeof infer][] = [
  [
    'an Agent Identity JWT',
    JWKS,
    {
      authJson: () => null,
      env: (emulator) => ({ CODEX_ACCESS_TOKEN: emulator.issueIdentityToken() }),
    },
    infer,
  ],
  [
    'a personal access token',
    WHOAMI,
    {
      authJson: () => null,
      env: (emulator) => ({ CODEX_ACCESS_TOKEN: emulator.issuePersonalAccessToken(ACCOUNT) }),
    },
    getModels,
  ],
  [
    'a login whose access token has expired',
    TOKEN,
    {
      authJson: (emulator) => {
        const { authJson } = emulator.issueLogin(ACCOUNT);
        const access_token = chatGptToken({ ...ACCOUNT, exp: LONG_AGO });
        return { ...authJson, tokens: { ...Object(authJson).tokens, access_token } };
      },
    },
    getModels,
  ],
];

for (const [name, path, options, call] of CREDENTIALS) {
  for (const stepMs of [-6 * HOUR, -365 * 24 * HOUR, 6 * HOUR]) {
    t.test(
      `a pause after a failure outlives no step of the clock: ${name}, ${stepMs / HOUR} h`,
      async (t) => {
        const scene = await startSidecarWithClock(t, options);
        scene.emulator.addFault({ path, status: 503, times: 0 });
        t.equal((await call(scene)).status, 503);
        scene.emulator.clearFaults();
        const calls = scene.count(path);
        scene.time.setClock(stepMs);
        const paused = await call(scene);
        t.equal(paused.status, 503, 'the pause goes on');
        t.ok(Number(paused.headers.get('retry-after')) <= LONGEST_PAUSE / 1000);
        t.equal(scene.count(path), calls);
        scene.time.advance(LONGEST_PAUSE);
        t.equal((await call(scene)).status, 200);
      },
    );
  }
}

t.test('the interval between two run tasks outlives no step of the clock', async (t) => {
  const scene = await startSidecarWithClock(t, { config: WITH_IDENTITY });
  await infer(scene);
  scene.emulator.revokeTask(lastTask(scene.emulator));
  t.equal((await infer(scene)).status, 200, 'replaced once');
  scene.emulator.revokeTask(lastTask(scene.emulator));
  scene.time.setClock(-6 * HOUR);
  t.equal((await infer(scene)).status, 401, 'not again within the interval');
  scene.time.advance(LONGEST_PAUSE);
  t.equal((await infer(scene)).status, 200);
});

t.test('the count of refused bearers outlives no step of the clock', async (t) => {
  const scene = await startSidecarWithClock(t);
  const refuseAll = async (): Promise<Answer> => {
    scene.emulator.addFault({ path: '/backend-api/codex/models', status: 401, times: 0 });
    const refused = await getModels(scene);
    scene.emulator.clearFaults();
    return refused;
  };
  for (const _ of [1, 2, 3, 4]) t.equal((await refuseAll()).status, 401);
  const refreshes = scene.count(TOKEN);
  scene.time.setClock(-6 * HOUR);
  await refuseAll();
  t.equal(scene.count(TOKEN), refreshes, 'the limit goes on');
  scene.time.advance(LONGEST_PAUSE);
  await refuseAll();
  t.equal(scene.count(TOKEN), refreshes + 1, 'and ends');
});

t.test('the uptime knows no step of the clock', async (t) => {
  const scene = await startSidecarWithClock(t);
  scene.time.setClock(-6 * HOUR);
  scene.time.advance(5_000);
  t.equal(await uptime(scene), 5);
});

async function uptime(scene: SidecarWithClock): Promise<number> {
  return (await scene.status()).uptimeSeconds;
}
