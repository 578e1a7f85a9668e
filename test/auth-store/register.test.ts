import { EventEmitter, once } from 'node:events';
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import { FileAuthStore } from '../../src/auth-store/file-store.ts';
import { makeAuthHome } from '../helpers/auth-home.ts';

const LOCK = 'auth.registration.lock';

/** A registration that asks the backend until it is told to write. */
async function startRegistering(t: Test) {
  const home = makeAuthHome(t, { first: 1, other: 1 }, (line) => t.fail(line));
  const events = new EventEmitter();
  const begun = once(events, 'begun');
  const response = once(events, 'response');
  const registering = home.store.register(async ({ write }) => {
    events.emit('begun');
    const [{ fits }] = await response;
    await write({ registered: 'new' }, () => fits);
  });
  registering.catch(() => undefined);
  return {
    home,
    begun,
    registering,
    respond: (how: { fits: boolean }) => events.emit('response', how),
  };
}

t.test('others write while a registration asks the backend, and nothing is lost', async (t) => {
  const { home, begun, registering, respond } = await startRegistering(t);
  await begun;
  await new FileAuthStore(home.folder).transact(({ write }) => write({ first: 2 }));
  await home.store.transact(({ write }) => write({ other: 2 }));
  respond({ fits: true });
  await registering;
  t.strictSame(home.read(), { first: 2, other: 2, registered: 'new' });
});

t.test('what does not fit any more is not written', async (t) => {
  const { home, begun, registering, respond } = await startRegistering(t);
  await begun;
  respond({ fits: false });
  await t.rejects(registering, { name: 'ChangedMeanwhile' });
  t.strictSame(home.read(), { first: 1, other: 1 });
});

t.test('a second registration begins after the first, with what that has written', async (t) => {
  const { home, begun, registering, respond } = await startRegistering(t);
  await begun;
  const order: string[] = [];
  const first = registering.then(() => order.push('first'));
  const second = new FileAuthStore(home.folder).register(async ({ write }) => {
    order.push('second');
    t.equal(home.read().registered, 'new');
    await write({ registered: 'newer' });
  });
  respond({ fits: true });
  await Promise.all([first, second]);
  t.strictSame(order, ['first', 'second']);
  t.equal(home.read().registered, 'newer');
});

t.test('where it cannot have a lock of its own, it keeps everybody out', async (t) => {
  const home = makeAuthHome(t, { count: 0 });
  mkdirSync(join(home.folder, LOCK));
  const order: string[] = [];
  let other: Promise<void> | null = null;
  await home.store.register(async ({ write }) => {
    other = new FileAuthStore(home.folder).transact(async () => void order.push('other'));
    await write({ count: 1 });
    order.push('registration');
  });
  await other;
  t.strictSame(order, ['registration', 'other']);
  t.equal(home.read().count, 1);
});
