import { join } from 'node:path';
import t, { type Test } from 'tap';
import type { AuthStore } from '../../src/auth-store/store.ts';
import { withFileLock } from '../../src/files/lock.ts';
import { aroundStore } from '../helpers/around-store.ts';
import {
  getModels,
  type SidecarWithClock,
  startSidecarWithClock,
  TOKEN,
} from '../helpers/sidecar-with-clock.ts';

const MINUTE = 60_000;

const ours = ({ emulator }: SidecarWithClock) =>
  emulator.records.filter(({ path, headers }) => {
    return path === TOKEN && headers['user-agent']?.startsWith('codex-auth-sidecar');
  });

/** A sidecar that has been asked once. @param store what is different about its store */
async function start(t: Test, store: (files: AuthStore) => AuthStore = (files) => files) {
  const scene = await startSidecarWithClock(t, {
    emulator: { accessTokenLifetimeSeconds: 3600 },
    authJson: (emulator) => emulator.issueLogin({ accountId: 'a', userId: 'u' }).authJson,
    store,
  });
  await getModels(scene);
  return scene;
}

/** Codex refreshes, without any lock. @returns writes down what it got */
async function refreshAsCodex({ emulator, home }: SidecarWithClock): Promise<() => void> {
  const { refresh_token } = Object(home.read().tokens);
  const client_id = 'app_EMoamEEZ73f0CkXaXp7hrann';
  const response = await fetch(emulator.url + TOKEN, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ grant_type: 'refresh_token', client_id, refresh_token }),
  });
  const { token_type: _, ...fresh } = Object(await response.json());
  return () => home.write({ ...home.read(), tokens: { ...Object(home.read().tokens), ...fresh } });
}

t.test(
  'both spend it: whoever waits for our lock writes first, and its tokens count',
  async (t) => {
    const scene = await start(t);
    scene.emulator.expireAccessTokens();
    const write = await refreshAsCodex(scene);
    scene.emulator.settings.refreshResponseDelayMs = 300;
    const asked = getModels(scene);
    await scene.emulator.waitFor((record) => ours(scene).includes(record));
    const written = withFileLock(join(scene.home.folder, 'auth.lock'), 10, async () => write());
    t.equal((await asked).status, 200);
    await written;
    t.strictSame(
      ours(scene).map(({ status }) => status),
      [401],
    );
    t.match(await scene.status(), { status: 'ready', bearer: { lastError: null } });
  },
);

t.test('both spend it: a request waits a moment for what the other one gets', async (t) => {
  let write: (() => void) | null = null;
  const scene = await start(t, (files) =>
    aroundStore(files, {
      watch: (changed) => {
        const stop = files.watch(changed);
        write?.();
        return stop;
      },
    }),
  );
  scene.emulator.expireAccessTokens();
  write = await refreshAsCodex(scene);
  t.equal((await getModels(scene)).status, 200);
  t.equal(ours(scene).length, 1);
  t.match((await scene.status()).status, 'ready');
});

t.test('both spend it: what comes later is taken over at the next request', async (t) => {
  const scene = await start(t);
  const write = await refreshAsCodex(scene);
  scene.time.advance(61 * MINUTE);
  const early = await getModels(scene);
  t.equal(early.code, 'AUTH_REFRESH_UNAVAILABLE');
  t.equal(early.headers.get('retry-after'), '1');
  t.match(early.text, /refresh_token_reused, and no other program has stored new tokens yet/);
  // Those of Codex have ended by now as well, so they are refreshed with the token that it got.
  write();
  scene.time.advance(1_000);
  t.equal((await getModels(scene)).status, 200);
  t.strictSame(
    ours(scene).map(({ status }) => status),
    [401, 200],
  );
});

t.test(
  'a refresh token that nobody else has spent: the login is lost after half a minute',
  async (t) => {
    const scene = await start(t);
    scene.emulator.addFault({
      path: TOKEN,
      status: 401,
      times: 0,
      body: { error: 'invalid_grant' },
    });
    scene.time.advance(61 * MINUTE);
    t.equal((await getModels(scene)).code, 'AUTH_REFRESH_UNAVAILABLE');
    scene.time.advance(29_000);
    t.equal((await getModels(scene)).code, 'AUTH_REFRESH_UNAVAILABLE');
    scene.time.advance(1_000);
    for (const _ of [1, 2]) t.equal((await getModels(scene)).code, 'AUTH_REFRESH_FAILED');
    t.equal(scene.count(TOKEN), 1, 'and is asked about once');
  },
);

t.test('a refresh token that has expired was not spent by anybody', async (t) => {
  const scene = await start(t);
  const body = { error: { code: 'refresh_token_expired' } };
  scene.emulator.addFault({ path: TOKEN, status: 401, times: 0, body });
  scene.time.advance(61 * MINUTE);
  t.equal((await getModels(scene)).code, 'AUTH_REFRESH_FAILED');
});

t.test('in the background: requests go on with the old token, and nobody waits', async (t) => {
  let looks = 0;
  const scene = await start(t, (files) =>
    aroundStore(files, {
      watch: (changed) => {
        looks++;
        return files.watch(changed);
      },
    }),
  );
  const write = await refreshAsCodex(scene);
  scene.time.advance(50 * MINUTE);
  while ((await scene.status()).bearer.lastError === null);
  t.equal((await getModels(scene)).status, 200);
  t.match((await scene.status()).status, 'degraded');
  t.equal(looks, 0);
  write();
  scene.time.advance(15_000);
  while ((await scene.status()).status !== 'ready');
  t.equal(ours(scene).length, 1);
  t.equal((await getModels(scene)).status, 200);
});
