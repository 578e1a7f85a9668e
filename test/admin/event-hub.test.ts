import { EventEmitter } from 'node:events';
import type { ServerResponse } from 'node:http';
import t from 'tap';
import { EventHub } from '../../src/admin/events.ts';
import { buildStatus, type StatusDocument } from '../../src/admin/status.ts';
import { Activity } from '../../src/telemetry/activity.ts';
import { statusInput } from '../helpers/status-input.ts';

/** Events that everyone gets at once. */
const FIRST = 5;

/** A response whose reader takes nothing until the test says so. */
class SlowResponse extends EventEmitter {
  writableNeedDrain = false;
  destroyed = false;
  readonly written: string[] = [];

  write(text: string): boolean {
    this.written.push(text);
    return !this.writableNeedDrain;
  }

  end(): void {
    this.emit('close');
  }

  destroy(): void {
    this.destroyed = true;
    this.emit('close');
  }
}

function startHub(t: { teardown(end: () => void): void }) {
  const state: { status: StatusDocument; nudges: number } = {
    status: buildStatus(statusInput()),
    nudges: 0,
  };
  const activity = new Activity(
    () => 0,
    () => 0,
  );
  let tick: () => void = () => undefined;
  const hub = new EventHub({
    status: () => state.status,
    activity: () => activity.snapshot(),
    clients: () => ({ usageRead: true, clients: [], more: 0 }),
    signIn: () => ({ state: 'none', reason: null, offered: false }),
    retryNow: async () => void state.nudges++,
    credentialChanges: () => 0,
    every: (_ms, work) => {
      tick = work;
      return () => {
        tick = () => undefined;
      };
    },
  });
  t.teardown(() => hub.close());
  const listen = () => {
    const response = new SlowResponse();
    // All that the hub uses of one; a real one could not be made slow at will.
    hub.add(response as unknown as ServerResponse);
    return response;
  };
  return { hub, state, activity, listen, tick: () => tick() };
}

t.test('says nothing twice, and a comment when there is nothing to say', async (t) => {
  const { listen, tick } = startHub(t);
  const response = listen();
  t.equal(response.written.length, FIRST);
  for (let i = 0; i < 14; i++) tick();
  t.equal(response.written.length, FIRST);
  tick();
  t.strictSame(response.written.slice(FIRST), [':\n\n']);
});

t.test('nothing is written behind the end of a stream that nobody reads', async (t) => {
  const { hub, state, listen, tick } = startHub(t);
  const response = listen();
  response.end = () => undefined;
  hub.close();
  const before = response.written.length;
  state.status = { ...state.status, status: 'failed' };
  for (let i = 0; i < 20; i++) tick();
  hub.publishSoon();
  await new Promise(setImmediate);
  t.equal(response.written.length, before);
  t.equal(hub.listeners, 0);
});

t.test('a slow reader gets what holds when it reads again, and nothing in between', async (t) => {
  const { hub, state, listen, tick } = startHub(t);
  const response = listen();
  response.writableNeedDrain = true;
  for (const status of ['failed', 'degraded'] as const) {
    state.status = { ...state.status, status };
    tick();
  }
  t.equal(response.written.length, FIRST, 'nothing is queued for it');
  response.writableNeedDrain = false;
  response.emit('drain');
  await new Promise(setImmediate);
  t.equal(response.written.length, FIRST + 1);
  t.match(response.written[FIRST], /^event: auth\/status\n.*"status":"degraded"/);
  t.equal(hub.listeners, 1);
});

t.test('one that reads nothing for long is let go', async (t) => {
  const { hub, listen, tick } = startHub(t);
  const response = listen();
  response.writableNeedDrain = true;
  for (let i = 0; i < 30; i++) tick();
  t.notOk(response.destroyed);
  tick();
  t.ok(response.destroyed);
  t.equal(hub.listeners, 0);
});

t.test('tries what is undone as long as somebody watches', async (t) => {
  const { state, listen, tick } = startHub(t);
  const response = listen();
  tick();
  t.equal(state.nudges, 0);
  state.status = { ...state.status, status: 'failed' };
  tick();
  t.equal(state.nudges, 1);
  response.end();
  tick();
  t.equal(state.nudges, 1, 'and no longer');
});

t.test('several reports of one change are one event', async (t) => {
  const { hub, state, listen } = startHub(t);
  const response = listen();
  state.status = { ...state.status, status: 'starting' };
  hub.publishSoon();
  state.status = { ...state.status, status: 'failed' };
  hub.publishSoon();
  await new Promise(setImmediate);
  t.equal(response.written.length, FIRST + 1);
  t.match(response.written[FIRST], /"status":"failed"/);
});
