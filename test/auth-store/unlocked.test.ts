import { mkdirSync, rmdirSync, rmSync } from 'node:fs';
import t from 'tap';
import { FileAuthStore } from '../../src/auth-store/file-store.ts';
import { lockWay } from '../../src/files/lock-way.ts';
import { makeAuthHome } from '../helpers/auth-home.ts';

t.test('where no lock can be had, work goes on without one, which is said once', async (t) => {
  const lines: string[] = [];
  const home = makeAuthHome(t, { count: 0 }, (line, { held }) => {
    t.notOk(held);
    lines.push(line);
  });
  const warning = `${home.path} cannot be locked; going on without`;
  const write = () => home.store.transact((transaction) => transaction.write({ count: 1 }));
  mkdirSync(home.lockPath);
  await write();
  await write();
  t.strictSame(home.read(), { count: 1 });
  t.strictSame(lines, [warning]);
  rmdirSync(home.lockPath);
  await write();
  rmSync(home.lockPath);
  mkdirSync(home.lockPath);
  await write();
  t.strictSame(lines, [warning, warning], 'and again after a lock was taken');
});

t.test('a store without a warning is not changed without a lock', async (t) => {
  const home = makeAuthHome(t, { count: 0 });
  mkdirSync(home.lockPath);
  const write = () => home.store.transact((transaction) => transaction.write({ count: 1 }));
  await t.rejects(write(), { name: 'LockError', held: false });
  t.strictSame(home.read(), { count: 0 });
});

t.test('the status says that there is no lock, until there is one', async (t) => {
  const home = makeAuthHome(t, { count: 0 }, () => undefined);
  const lastError = () => {
    const status = home.store.status();
    return status.kind === 'file' ? status.lastError : 'another kind';
  };
  const write = () => home.store.transact((transaction) => transaction.write({ count: 1 }));
  await home.store.load();
  t.equal(lastError(), null);
  mkdirSync(home.lockPath);
  await write();
  const problem = `auth.json is used without a lock: cannot open ${home.lockPath} (EISDIR)`;
  t.equal(lastError(), problem);
  rmdirSync(home.lockPath);
  await write();
  t.equal(lastError(), null);
});

t.test('where nothing can lock, the status says so before anything is written', async (t) => {
  const { folder } = makeAuthHome(t, { count: 0 });
  const store = new FileAuthStore(folder, () => undefined, lockWay('win32'));
  await store.load();
  t.match(store.status(), { lastError: 'auth.json is used without a lock' });
});
