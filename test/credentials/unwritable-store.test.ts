import { mkdirSync } from 'node:fs';
import t from 'tap';
import { LockError } from '../../src/files/lock.ts';
import { aroundStore } from '../helpers/around-store.ts';
import { startBackendWithLogin } from '../helpers/backend-with-login.ts';
import { failureOf } from '../helpers/failure.ts';

const WARNING = /^the identity cannot be kept in .*auth\.json; every start registers a new one$/;

t.test('where no lock can be had, the identity is kept without one, with a warning', async (t) => {
  const subject = await startBackendWithLogin(t);
  mkdirSync(subject.home.lockPath);
  const provider = await subject.start();
  t.equal((await provider.headers()).kind, 'assertion');
  t.equal(subject.agentRegistrations(), 1);
  t.type(subject.storedRecord()?.task_id, 'string');
  t.match(subject.captured.warnings(), [/auth\.json cannot be locked; going on without$/]);
});

t.test('without a lock the account is checked all the same', async (t) => {
  const subject = await startBackendWithLogin(t);
  mkdirSync(subject.home.lockPath);
  const provider = await subject.start();
  subject.home.write(subject.emulator.issueLogin().authJson);
  const error = await failureOf(() => provider.headers());
  t.match(error.message, /another account/);
  t.equal(subject.agentRegistrations(), 0);
});

t.test('a write that fails is a warning too', async (t) => {
  const subject = await startBackendWithLogin(t);
  const { store } = subject.home;
  const write = async () => Promise.reject(new Error('ENOSPC'));
  const full = aroundStore(store, {
    register: (work) => store.register((transaction) => work({ ...transaction, write })),
  });
  const provider = await subject.start(full);
  t.equal((await provider.headers()).kind, 'assertion');
  t.match(subject.captured.warnings()[0], WARNING);
  t.equal(subject.taskRegistrations(), 1);
});

t.test('a lock that another process holds is waited for, not passed by', async (t) => {
  const subject = await startBackendWithLogin(t);
  const { store } = subject.home;
  const busy = aroundStore(store, {
    register: async () => Promise.reject(new LockError('auth.lock is held', true)),
  });
  const provider = await subject.start(busy);
  const error = await failureOf(() => provider.headers());
  t.equal(error.code, 'AUTH_IDENTITY_UNAVAILABLE');
  t.match(error.message, /auth\.lock is held/);
  t.equal(subject.agentRegistrations(), 0);
});
