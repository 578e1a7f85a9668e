import { mkdirSync, renameSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import { type PartialConfig, resolveConfig } from '../../src/config/resolve.ts';
import type { Emulator } from '../../src/emulator/index.ts';
import {
  getModels,
  Home,
  infer,
  lastTask,
  type SidecarWithClock,
  startAnotherSidecar,
  startSidecarWithClock,
  TOKEN,
  WITH_IDENTITY,
} from '../helpers/sidecar-with-clock.ts';

// Root may write anywhere, so the folder is one in which nobody can: the lock is a folder, and the
// name of the file is so long that no temporary file fits beside it.
async function readOnly(
  t: Test,
  config: PartialConfig = {},
  content: (emulator: Emulator) => object = (emulator) => emulator.issueLogin().authJson,
): Promise<SidecarWithClock> {
  const home = new Home(t);
  const name = 'a'.repeat(250);
  mkdirSync(join(home.folder, 'auth.lock'));
  symlinkSync(name, home.path);
  const authJson = (emulator: Emulator) => {
    writeFileSync(join(home.folder, name), JSON.stringify(content(emulator)));
    return null;
  };
  return startSidecarWithClock(t, { home, authJson, config });
}

t.test('refreshed tokens live in memory, and it is said', async (t) => {
  const scene = await readOnly(t);
  const before = scene.home.text();
  for (const round of [1, 2, 3]) {
    scene.emulator.expireAccessTokens();
    t.equal((await getModels(scene)).status, 200, `refresh ${round}`);
    t.equal(scene.count(TOKEN), round);
    await scene.sidecar.reload();
    t.equal((await getModels(scene)).status, 200, 'a reload does not bring spent tokens back');
  }
  t.equal(scene.home.text(), before);
  const { status, bearer } = await scene.status();
  t.equal(status, 'degraded');
  t.match(bearer.lastError, /could not be written to .*auth\.json and are in memory only/);
  t.ok(scene.log.some((line) => line.includes('cannot be locked')));
  scene.emulator.records.forEach(({ path, status }) => {
    if (path === TOKEN) t.equal(status, 200, 'no refresh token was used twice');
  });
});

t.test('a new login in the file takes the place of tokens in memory', async (t) => {
  const scene = await readOnly(t);
  scene.emulator.expireAccessTokens();
  await getModels(scene);
  const { authJson, accountId } = scene.emulator.issueLogin();
  writeFileSync(join(scene.home.folder, 'a'.repeat(250)), JSON.stringify(authJson));
  await scene.sidecar.reload();
  t.equal((await getModels(scene)).status, 200);
  t.equal(scene.emulator.records.at(-1)?.headers['chatgpt-account-id'], accountId);
  t.equal((await scene.status()).status, 'ready');
});

t.test('an identity is registered once and lives in memory', async (t) => {
  const scene = await readOnly(t, WITH_IDENTITY);
  t.equal((await infer(scene)).status, 200);
  await scene.sidecar.reload();
  t.equal((await infer(scene)).status, 200);
  t.equal(scene.count('/agent/register'), 1);
  t.equal(scene.count('/task/register'), 1);
  t.ok(scene.log.some((line) => line.includes('cannot be kept')));
});

t.test('a rejected task is replaced, again and again', async (t) => {
  const scene = await readOnly(t, WITH_IDENTITY);
  await infer(scene);
  for (const round of [2, 3]) {
    const task = scene.emulator.records.findLast(({ auth }) => auth.taskId)?.auth.taskId;
    scene.emulator.revokeTask(String(task));
    scene.time.advance(60_000);
    t.equal((await infer(scene)).status, 200);
    t.equal(scene.count('/task/register'), round);
  }
  t.equal(scene.count('/agent/register'), 1);
});

t.test('a task in memory is not exchanged for the older one of the file', async (t) => {
  const scene = await readOnly(t, WITH_IDENTITY, (emulator) => {
    const jwt = emulator.issueIdentityToken({ accountId: 'account-1', userId: 'user-1' });
    const claims = JSON.parse(Buffer.from(jwt.split('.')[1] ?? '', 'base64url').toString());
    const { authJson } = emulator.issueLogin({ accountId: 'account-1', userId: 'user-1' });
    return { ...authJson, agent_identity: { ...claims, task_id: 'task-of-long-ago' } };
  });
  t.equal((await infer(scene)).status, 200);
  t.equal(scene.count('/task/register'), 1);
  scene.emulator.revokeTask(lastTask(scene.emulator));
  scene.time.advance(60_000);
  t.equal((await infer(scene)).status, 200);
  t.equal(scene.count('/task/register'), 2);
  t.equal(scene.count('/agent/register'), 0);
});

t.test('settings that change keep tokens that are in memory only', async (t) => {
  const scene = await readOnly(t);
  scene.emulator.expireAccessTokens();
  await getModels(scene);
  const { manager } = scene.sidecar;
  const { agentIdentity } = resolveConfig({ agentIdentity: { onUnavailable: 'bearer' } });
  t.ok(manager.use(await manager.read(), agentIdentity));
  t.equal((await getModels(scene)).status, 200);
  t.equal(scene.count(TOKEN), 1);
});

/** What was read-only can be written from now on; nothing else changes. */
function makeWritable({ home }: SidecarWithClock): void {
  rmSync(join(home.folder, 'auth.lock'), { recursive: true });
  renameSync(join(home.folder, 'a'.repeat(250)), home.path);
}

const WAYS: [name: string, act: (scene: SidecarWithClock) => unknown][] = [
  ['a minute later', (scene) => scene.time.advance(60_000)],
  ['at a reload', (scene) => scene.sidecar.reload()],
  ['before exit', (scene) => scene.sidecar.manager.persist()],
];
for (const [name, act] of WAYS) {
  t.test(`tokens in memory are written down ${name}`, async (t) => {
    const scene = await readOnly(t);
    scene.emulator.expireAccessTokens();
    t.equal((await getModels(scene)).status, 200);
    await act(scene);
    const written = () => scene.log.some((line) => line.includes('wrote down the tokens'));
    t.notOk(written(), 'not while it cannot be');
    t.equal((await scene.status()).status, 'degraded');
    makeWritable(scene);
    // Once: with each minute the end of the new token comes closer as well.
    await act(scene);
    while (!written()) await scene.status();
    while ((await scene.status()).status === 'degraded');
    t.equal((await scene.status()).status, 'ready');
    t.equal((await scene.status()).bearer.lastError, null);
    await scene.stop();
    const next = await startAnotherSidecar(t, scene, { home: scene.home });
    t.equal((await getModels(next)).status, 200);
    next.emulator.expireAccessTokens();
    t.equal((await getModels(next)).status, 200, 'and the refresh token is the new one');
    t.ok(scene.emulator.records.every(({ path, status }) => path !== TOKEN || status === 200));
    t.equal(
      scene.log.filter((line) => line.includes('could not be written')).length,
      1,
      'a failure that lasts is said once',
    );
  });
}

t.test('tokens in memory do not take the place of a new login', async (t) => {
  const scene = await readOnly(t);
  scene.emulator.expireAccessTokens();
  await getModels(scene);
  makeWritable(scene);
  const { authJson } = scene.emulator.issueLogin();
  scene.home.write(authJson);
  await scene.sidecar.manager.persist();
  t.strictSame(scene.home.read(), authJson);
  await scene.sidecar.reload();
  t.strictSame(scene.time.delays.length, 1, 'nothing waits but the next refresh');
});
