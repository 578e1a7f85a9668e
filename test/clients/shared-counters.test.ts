import t from 'tap';
import type { ClientCountsRow } from '../../src/base/client-counts.ts';
import { ClientCounters } from '../../src/clients/counters.ts';
import { dayOf } from '../../src/clients/daily-tokens.ts';
import { SharedCounters } from '../../src/clients/shared-counters.ts';
import { captureLog } from '../helpers/captured-log.ts';

const NOON = Date.parse('2026-11-27T12:00:00Z');
const TODAY = dayOf(NOON);

/** One sidecar, with an engine and a clock in the hands of the test. */
function start(isNeeded = () => true) {
  const time = { now: NOON, monotonic: 5_000 };
  const counters = new ClientCounters(() => time.monotonic);
  const captured = captureLog();
  const writes: { day: number; mine: readonly ClientCountsRow[] }[] = [];
  const timers: (() => void)[] = [];
  const engine = {
    others: [] as ClientCountsRow[],
    failure: null as Error | null,
    forgotten: 0,
    closed: false,
    share: async (day: number, mine: readonly ClientCountsRow[]) => {
      if (engine.failure) throw engine.failure;
      writes.push({ day, mine });
      return engine.others;
    },
    forget: async () => {
      engine.forgotten++;
    },
    close: () => {
      engine.closed = true;
    },
  };
  const shared = new SharedCounters({
    counters,
    engine,
    isNeeded,
    log: captured.log,
    now: () => time.now,
    schedule: (_ms, task) => {
      timers.push(task);
      return () => void timers.splice(timers.indexOf(task), 1);
    },
  });
  return { time, counters, captured, writes, timers, engine, shared };
}

const row = (client: string, fields: Partial<ClientCountsRow>): ClientCountsRow => ({
  client,
  input: 0,
  output: 0,
  requests: 0,
  streams: 0,
  ...fields,
});

t.test('what changed is told, what is busy each time, and the rest not again', async (t) => {
  const { counters, shared, writes, time } = start();
  counters.addTokens('idle', { input: 1, output: 2 }, NOON);
  counters.addRequest('busy');
  counters.openStream('busy');
  await shared.share();
  const busy = row('busy', { requests: 1, streams: 1 });
  t.strictSame(writes[0], { day: TODAY, mine: [row('idle', { input: 1, output: 2 }), busy] });
  await shared.share();
  t.strictSame(writes[1]?.mine, [busy]);
  time.monotonic += 3_600_000;
  await shared.share();
  t.strictSame(writes[2]?.mine, [{ ...busy, requests: 0 }]);
});

t.test('a new day is told from its beginning', async (t) => {
  const { counters, shared, writes, time } = start();
  counters.addTokens('ci', { input: 1, output: 2 }, NOON);
  await shared.share();
  time.now += 86_400_000;
  counters.addTokens('ci', { input: 1, output: 2 }, time.now);
  await shared.share();
  t.strictSame(writes[1], { day: TODAY + 1, mine: [row('ci', { input: 1, output: 2 })] });
});

t.test('what the others have used counts here', async (t) => {
  const { counters, shared, engine } = start();
  engine.others = [row('ci', { input: 100, requests: 3, streams: 1 })];
  await shared.share();
  t.match(counters.of('ci', NOON), { requestsLastMinute: 3, openStreams: 1 });
  t.match(counters.of('ci', NOON), { tokensToday: { input: 100 } });
});

t.test('while the store is away each goes on alone, which is said once', async (t) => {
  const { counters, shared, engine, captured, writes } = start();
  counters.addTokens('ci', { input: 1, output: 2 }, NOON);
  engine.failure = new Error('away');
  await shared.share();
  await shared.share();
  engine.failure = null;
  await shared.share();
  t.strictSame(writes[0]?.mine, [row('ci', { input: 1, output: 2 })], 'nothing was lost');
  t.strictSame(
    captured.entries().map(({ level, msg }) => `${level} ${msg}`),
    [
      'warn the limits of clients hold for this sidecar alone until the shared store can be used',
      'info the limits of clients are common to all sidecars again',
    ],
  );
});

t.test('nothing is written where no client is limited', async (t) => {
  const { counters, shared, writes } = start(() => false);
  counters.addRequest('ci');
  await shared.share();
  t.strictSame(writes, []);
});

t.test('it shares from time to time, forgets what is old, and tells the end', async (t) => {
  const { counters, shared, writes, timers, engine } = start();
  await shared.start();
  t.equal(engine.forgotten, 1);
  t.equal(timers.length, 1);
  timers.shift()?.();
  while (timers.length === 0) await new Promise(setImmediate);
  t.equal(writes.length, 2);
  t.equal(engine.forgotten, 1, 'not each time');
  counters.addTokens('ci', { input: 1, output: 2 }, NOON);
  await shared.close();
  t.strictSame(writes[2]?.mine, [row('ci', { input: 1, output: 2 })]);
  t.ok(engine.closed);
  t.equal(timers.length, 0);
});

t.test('a store that does not respond cannot hold up the end', async (t) => {
  const { shared, engine, timers } = start();
  engine.share = () => new Promise(() => undefined);
  const closed = shared.close();
  timers.shift()?.();
  await closed;
  t.ok(engine.closed);
});
