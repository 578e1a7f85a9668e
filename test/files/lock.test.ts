import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { LockError, withFileLock } from '../../src/files/lock.ts';

/** Asks the kernel, without waiting, whether somebody holds the lock. */
function isHeld(path: string): boolean {
  const { status } = spawnSync('flock', ['-n', path, 'true']);
  return status !== 0;
}

t.test('holds flock(2) on a regular file while it works, and only then', async (t) => {
  const path = join(t.testdir({}), 'auth.lock');
  const result = await withFileLock(path, 10, async () => {
    t.ok(isHeld(path));
    return 'result';
  });
  t.equal(result, 'result');
  t.notOk(isHeld(path));
  t.ok(statSync(path).isFile());
  t.equal(statSync(path).mode & 0o777, 0o600);
});

t.test('leaves the content of the lock file alone', async (t) => {
  const path = join(t.testdir({ 'auth.lock': 'of another program' }), 'auth.lock');
  await withFileLock(path, 10, async () => undefined);
  t.equal(readFileSync(path, 'utf8'), 'of another program');
});

t.test('releases it when the work fails', async (t) => {
  const path = join(t.testdir({}), 'auth.lock');
  const work = withFileLock(path, 10, async () => {
    throw new Error('stop');
  });
  await t.rejects(work, { message: 'stop' });
  t.notOk(isHeld(path));
});

t.test('excludes another process, and gets its turn when that one is done', async (t) => {
  const folder = t.testdir({});
  const path = join(folder, 'auth.lock');
  const trace = join(folder, 'trace');
  writeFileSync(trace, '');
  const script = 'echo held; read line; echo other >> "$0"';
  const child = spawn('flock', [path, 'sh', '-c', script, trace]);
  await once(child.stdout, 'data');
  let worked = false;
  const early = withFileLock(path, 0.05, async () => {
    worked = true;
  });
  await t.rejects(early, { name: 'LockError', held: true, message: /held by another process/ });
  t.notOk(worked);
  const late = withFileLock(path, 60, async () => readFileSync(trace, 'utf8'));
  child.stdin.end('go on\n');
  t.equal(await late, 'other\n');
});

t.test('excludes another holder of the same process', async (t) => {
  const path = join(t.testdir({}), 'auth.lock');
  await withFileLock(path, 10, async () => {
    await t.rejects(
      withFileLock(path, 0.05, async () => undefined),
      { name: 'LockError', held: true },
    );
  });
});

t.test('one who gave up waiting does not get the lock later', async (t) => {
  const path = join(t.testdir({}), 'auth.lock');
  await withFileLock(path, 10, async () => {
    await t.rejects(
      withFileLock(path, 0.05, async () => undefined),
      LockError,
    );
  });
  t.notOk(isHeld(path));
});

t.test('says so when there can be no lock', async (t) => {
  const folder = t.testdir({});
  const path = join(folder, 'auth.lock');
  mkdirSync(path);
  let worked = false;
  const work = async () => {
    worked = true;
  };
  await t.rejects(withFileLock(path, 10, work), { name: 'LockError', held: false });
  await t.rejects(withFileLock(join(folder, 'none', 'auth.lock'), 10, work), {
    name: 'LockError',
    held: false,
  });
  t.notOk(worked);
});
