import { PassThrough } from 'node:stream';
import t from 'tap';
import { IdleConnections } from '../../src/inbound/idle-connections.ts';

function build(limit: number) {
  let now = 0;
  const idle = new IdleConnections(limit, () => now);
  const open = () => {
    const connection = new PassThrough();
    idle.opened(connection);
    return connection;
  };
  const pass = (ms: number) => {
    now += ms;
  };
  return { idle, open, pass };
}

t.test('beyond the limit the one that waits longest is closed', async (t) => {
  const { idle, open, pass } = build(2);
  const [first, second, third] = [open(), open(), open()];
  t.notOk(first.destroyed, 'a burst is given its time');
  pass(1_000);
  const fourth = open();
  t.ok(first.destroyed && second.destroyed);
  t.notOk(third.destroyed || fourth.destroyed);
  t.equal(idle.size, 2);
});

t.test('one that is busy does not count, and waits anew afterwards', async (t) => {
  const { idle, open, pass } = build(1);
  const busy = open();
  const finished = idle.busy(busy);
  const other = open();
  pass(1_000);
  t.equal(idle.size, 1);
  finished();
  t.ok(other.destroyed, 'it has waited longer');
  t.notOk(busy.destroyed);
});

t.test('one that was sent ahead on is busy until its last answer is finished', async (t) => {
  const { idle, open, pass } = build(0);
  const connection = open();
  const [first, second] = [idle.busy(connection), idle.busy(connection)];
  first();
  pass(1_000);
  t.equal(idle.size, 0);
  open();
  t.notOk(connection.destroyed);
  second();
  pass(1_000);
  open();
  t.ok(connection.destroyed);
});

t.test('what may not keep a connection lets it wait anew', async (t) => {
  const { idle, open, pass } = build(1);
  const [first, second] = [open(), open()];
  pass(1_000);
  idle.renew(first);
  t.ok(second.destroyed);
  t.notOk(first.destroyed);
  const finished = idle.busy(first);
  idle.renew(first);
  t.equal(idle.size, 0, 'another request keeps it');
  finished();
  t.equal(idle.size, 1);
});

t.test('one that is gone is forgotten, also while it was busy', async (t) => {
  const { idle, open } = build(9);
  const [waiting, busy] = [open(), open()];
  const finished = idle.busy(busy);
  for (const connection of [waiting, busy]) {
    const gone = new Promise((resolve) => connection.once('close', resolve));
    connection.destroy();
    await gone;
  }
  finished();
  t.equal(idle.size, 0);
});

t.test('a connection that comes in again is counted once', async (t) => {
  const { idle, open } = build(9);
  const connection = open();
  const before = connection.listenerCount('close');
  idle.opened(connection);
  t.equal(idle.size, 1);
  t.equal(connection.listenerCount('close'), before);
});
