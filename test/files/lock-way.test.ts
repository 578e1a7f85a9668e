import { constants } from 'node:fs';
import { type FileHandle, open } from 'node:fs/promises';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import { withFileLock, withLockIfPossible } from '../../src/files/lock.ts';
import { lockingByProgram, lockWay, openingLocked } from '../../src/files/lock-way.ts';

/** As on macOS: open(2) that finds the lock held so many times, or fails. */
function openingSystem(t: Test, answers: (string | null)[]) {
  const path = join(t.testdir({}), 'auth.lock');
  const seen = { flags: [] as number[], slept: 0, closed: false };
  let now = 0;
  const system = {
    open: async (file: string, flags: number, mode: number): Promise<FileHandle> => {
      seen.flags.push(flags);
      t.equal(mode, 0o600);
      const code = answers.shift() ?? null;
      if (code !== null) throw Object.assign(new Error('of the system'), { code });
      const handle = await open(file, 'a', mode);
      const close = handle.close.bind(handle);
      handle.close = () => {
        seen.closed = true;
        return close();
      };
      return handle;
    },
    sleep: async (ms: number) => {
      now += ms;
      seen.slept += ms;
    },
    monotonicNow: () => now,
  };
  return { path, seen, way: openingLocked(system) };
}

t.test('each system has its way', async (t) => {
  for (const platform of ['darwin', 'freebsd', 'openbsd']) {
    t.equal(await lockWay(platform).means(), 'open(2) with O_EXLOCK', platform);
  }
  for (const platform of ['linux', 'sunos']) {
    t.match(await lockWay(platform).means(), /\/flock$/, platform);
  }
  t.equal(await lockWay('win32').means(), null);
  const folder = t.testdir({});
  await t.rejects(lockWay('win32').open(join(folder, 'x'), 1), { name: 'LockError', held: false });
});

t.test('open(2) takes the lock, and it lasts as long as the work', async (t) => {
  const { path, seen, way } = openingSystem(t, []);
  const result = await withFileLock(
    path,
    10,
    async () => {
      t.notOk(seen.closed);
      return 'result';
    },
    way,
  );
  t.equal(result, 'result');
  t.ok(seen.closed);
  const { O_WRONLY, O_CREAT, O_APPEND, O_NONBLOCK } = constants;
  t.strictSame(seen.flags, [O_WRONLY | O_CREAT | O_APPEND | O_NONBLOCK | 0x20]);
});

t.test('a lock that is held is waited for, and its turn comes', async (t) => {
  const { path, seen, way } = openingSystem(t, ['EAGAIN', 'EAGAIN', null]);
  t.equal(await withFileLock(path, 10, async () => 'done', way), 'done');
  t.equal(seen.flags.length, 3);
});

t.test('nobody waits longer than allowed', async (t) => {
  const { path, seen, way } = openingSystem(t, Array(100).fill('EAGAIN'));
  let worked = false;
  const work = async () => {
    worked = true;
  };
  await t.rejects(
    withLockIfPossible(path, 0.12, work, () => undefined, way),
    {
      name: 'LockError',
      held: true,
      message: `${path} is held by another process`,
    },
  );
  t.equal(seen.slept, 120);
  t.notOk(worked);
});

t.test('a file system that knows no locks is not waited for', async (t) => {
  const { path, seen, way } = openingSystem(t, ['ENOTSUP']);
  const reasons: string[] = [];
  const work = async () => 'done';
  t.equal(
    await withLockIfPossible(path, 10, work, (why) => reasons.push(why.message), way),
    'done',
  );
  t.strictSame(reasons, [`cannot open ${path} (ENOTSUP)`]);
  t.equal(seen.slept, 0);
});

t.test('without the program there is no lock, and it is said', async (t) => {
  const folder = t.testdir({});
  const way = lockingByProgram(folder);
  t.equal(await way.means(), null);
  await t.rejects(way.open(join(folder, 'auth.lock'), 1), {
    name: 'LockError',
    held: false,
    message: 'the program "flock" is missing; install util-linux or BusyBox',
  });
});
