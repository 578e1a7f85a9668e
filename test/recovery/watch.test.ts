import fs, { mkdirSync, renameSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { syncBuiltinESMExports } from 'node:module';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import { FileAuthStore } from '../../src/auth-store/file-store.ts';
import { watchPath } from '../../src/files/watch.ts';
import { makeAuthHome } from '../helpers/auth-home.ts';
import {
  getModels,
  Home,
  infer,
  lastTask,
  startSidecarWithClock,
  WITH_IDENTITY,
} from '../helpers/sidecar-with-clock.ts';

/** Calls of a watcher, to be awaited. */
function watched(t: Test, store: Pick<FileAuthStore, 'watch'>, act: () => void = () => undefined) {
  let wake: () => void = () => undefined;
  let changed = new Promise<void>((resolve) => {
    wake = resolve;
  });
  const stop = store.watch(() => {
    act();
    wake();
  });
  // The watcher does not keep the process alive.
  const alive = setInterval(() => undefined, 60_000);
  t.teardown(() => {
    clearInterval(alive);
    stop();
  });
  return async () => {
    await changed;
    changed = new Promise((resolve) => {
      wake = resolve;
    });
  };
}

t.test('a file that is written, replaced by rename, removed and written again', async (t) => {
  const home = new Home(t);
  home.write({});
  const next = watched(t, new FileAuthStore(home.folder));
  home.write({ a: 1 });
  await next();
  const beside = join(home.folder, 'new');
  writeFileSync(beside, '{}');
  renameSync(beside, home.path);
  await next();
  rmSync(home.path);
  await next();
  home.write({});
  await next();
  t.pass('each was noticed');
});

t.test('a mounted secret of Kubernetes: the ..data link is swapped', async (t) => {
  const home = new Home(t);
  const version = (name: string, key: string) => {
    mkdirSync(join(home.folder, name));
    const content = JSON.stringify({ OPENAI_API_KEY: key });
    writeFileSync(join(home.folder, name, 'auth.json'), content);
  };
  version('..2026_1', 'sk-unknown');
  symlinkSync('..2026_1', join(home.folder, '..data'));
  symlinkSync('..data/auth.json', home.path);
  const scene = await startSidecarWithClock(t, { home });
  t.equal((await getModels(scene)).status, 401);
  version('..2026_2', scene.emulator.issueApiKey());
  const reloads: Promise<unknown>[] = [];
  const next = watched(t, scene.store, () => reloads.push(scene.sidecar.manager.reload()));
  symlinkSync('..2026_2', join(home.folder, '..data_tmp'));
  renameSync(join(home.folder, '..data_tmp'), join(home.folder, '..data'));
  await next();
  await Promise.all(reloads);
  t.equal((await getModels(scene)).status, 200);
});

t.test(
  'a repaired 401 reads the file under the lock only, and its write wakes nobody',
  async (t) => {
    const scene = await startSidecarWithClock(t, { config: WITH_IDENTITY });
    const { home } = scene;
    await infer(scene);
    const reads = t.capture(fs, 'open', fs.open);
    syncBuiltinESMExports();
    t.teardown(syncBuiltinESMExports);
    const parses = t.capture(JSON, 'parse', JSON.parse);
    const found: string[] = [];
    const reloads: Promise<unknown>[] = [];
    const next = watched(t, scene.store, () => {
      found.push(home.text());
      reloads.push(scene.sidecar.manager.reload());
    });
    const anyEvent = watched(t, {
      watch: (changed) => watchPath(home.path, home.folder, changed),
    });
    scene.emulator.revokeTask(lastTask(scene.emulator));
    t.equal((await infer(scene)).status, 200);
    await anyEvent();
    t.equal(reads().filter(({ args }) => args[0] === home.path).length, 2, 'and before the write');
    const isDocument = (text: unknown) => String(text).includes('"refresh_token"');
    t.equal(parses().filter(({ args }) => isDocument(args[0])).length, 3);
    const foreign = JSON.stringify({ ...home.read(), by_others: true });
    writeFileSync(home.path, foreign);
    await next();
    await Promise.all(reloads);
    // The system may tell one change twice.
    t.strictSame(
      [...new Set(found)],
      [foreign],
      'the change of somebody else is the first that is told',
    );
    t.equal(scene.log.filter((line) => line.includes('credential loaded')).length, 1);
    t.equal((await infer(scene)).status, 200);
    t.equal(scene.count('/register'), 3);
  },
);

t.test('a write of our own that holds a change of others is read again', async (t) => {
  const home = makeAuthHome(t, { OPENAI_API_KEY: 'sk-1' });
  await home.store.load();
  const next = watched(t, home.store);
  await home.store.transact(async ({ write }) => {
    home.write({ OPENAI_API_KEY: 'sk-2' });
    await write({ last_refresh: 'now' });
  });
  await next();
  t.strictSame(home.read(), { OPENAI_API_KEY: 'sk-2', last_refresh: 'now' });
});

t.test('a file that could not be read is looked at again at every event of it', async (t) => {
  const home = makeAuthHome(t, 'not JSON');
  await t.rejects(home.store.load());
  const next = watched(t, home.store);
  home.write('not JSON either');
  await next();
  t.pass('noticed');
});

t.test('a login that appears, and another that takes its place', async (t) => {
  const scene = await startSidecarWithClock(t, { authJson: () => null });
  const reloads: Promise<unknown>[] = [];
  const next = watched(t, scene.store, () => reloads.push(scene.sidecar.manager.reload()));
  t.equal((await getModels(scene)).code, 'AUTH_NOT_CONFIGURED');
  for (const { authJson, accountId } of [
    scene.emulator.issueLogin(),
    scene.emulator.issueLogin(),
  ]) {
    scene.home.write(authJson);
    await next();
    await Promise.all(reloads);
    t.equal((await getModels(scene)).status, 200);
    t.equal(scene.emulator.records.at(-1)?.headers['chatgpt-account-id'], accountId);
  }
  t.equal(scene.time.delays.length, 1, 'the timer of the first login is gone');
});
