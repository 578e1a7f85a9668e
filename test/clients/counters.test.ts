import t from 'tap';
import { ClientCounters } from '../../src/clients/counters.ts';
import { dayOf } from '../../src/clients/daily-tokens.ts';

const NOON = Date.parse('2026-11-27T12:00:00Z');
const LAST_SECOND = Date.parse('2026-11-27T23:59:59.999Z');
const MIDNIGHT = Date.parse('2026-11-28T00:00:00Z');

function start() {
  const time = { now: 5_000 };
  return { time, counters: new ClientCounters(() => time.now) };
}

t.test('a client that was never seen has used nothing', async (t) => {
  const { counters } = start();
  t.strictSame(counters.of('ci', NOON), {
    requestsLastMinute: 0,
    openStreams: 0,
    tokensToday: { input: 0, output: 0 },
  });
  t.equal(counters.requestWaitMs('ci', 1, NOON), 0);
});

t.test('requests count for a minute', async (t) => {
  const { counters, time } = start();
  counters.addRequest('ci');
  time.now += 20_000;
  counters.addRequest('ci');
  counters.addRequest('other');
  t.equal(counters.of('ci', NOON).requestsLastMinute, 2);
  t.equal(counters.requestWaitMs('ci', 3, NOON), 0);
  t.equal(counters.requestWaitMs('ci', 2, NOON), 41_000, 'until the first one is forgotten');
  t.equal(counters.requestWaitMs('ci', 1, NOON), 61_000);
  time.now += 40_000;
  t.equal(counters.of('ci', NOON).requestsLastMinute, 2, 'a minute later exactly');
  time.now += 1_000;
  t.equal(counters.of('ci', NOON).requestsLastMinute, 1);
  time.now += 3_600_000;
  t.equal(counters.of('ci', NOON).requestsLastMinute, 0, 'after an hour of silence');
  t.equal(counters.requestWaitMs('ci', 1, NOON), 0);
});

t.test('in no minute more requests are let in than the limit', async (t) => {
  const { counters, time } = start();
  const admitted: number[] = [];
  for (let step = 0; step < 2_000; step++) {
    time.now += (step * 7919) % 997;
    if (counters.requestWaitMs('ci', 10, NOON) > 0) continue;
    counters.addRequest('ci');
    admitted.push(time.now);
  }
  t.ok(admitted.length > 50, `${admitted.length}`);
  for (const [index, at] of admitted.entries()) {
    const eleventh = admitted[index + 10];
    if (eleventh !== undefined) t.ok(eleventh - at > 60_000, `${at} and ${eleventh}`);
  }
});

t.test('whoever waits as long as it says is let in', async (t) => {
  const { counters, time } = start();
  for (const pause of [0, 1_010, 2_900, 15_000, 3_333]) {
    time.now += pause;
    counters.addRequest('ci');
  }
  for (let limit = 5; limit >= 1; limit--) {
    const wait = counters.requestWaitMs('ci', limit, NOON);
    time.now += wait - 1;
    t.ok(counters.requestWaitMs('ci', limit, NOON) > 0, `${limit}: not a moment earlier`);
    time.now += 1;
    t.equal(counters.requestWaitMs('ci', limit, NOON), 0, `${limit}`);
  }
});

t.test('a stream counts until its end, and ends once', async (t) => {
  const { counters } = start();
  const first = counters.openStream('ci');
  const second = counters.openStream('ci');
  counters.openStream('other');
  t.equal(counters.of('ci', NOON).openStreams, 2);
  first();
  first();
  t.equal(counters.of('ci', NOON).openStreams, 1);
  second();
  t.equal(counters.of('ci', NOON).openStreams, 0);
});

t.test('tokens count for their day in UTC', async (t) => {
  const { counters } = start();
  counters.addTokens('ci', { input: 100, output: 7 }, NOON);
  counters.addTokens('ci', { input: 1, output: 2 }, LAST_SECOND);
  counters.addTokens('other', { input: 5, output: 5 }, NOON);
  t.strictSame(counters.of('ci', LAST_SECOND).tokensToday, { input: 101, output: 9 });
  t.strictSame(counters.of('ci', MIDNIGHT).tokensToday, { input: 0, output: 0 });
  counters.addTokens('ci', { input: 3, output: 0 }, MIDNIGHT);
  t.strictSame(counters.of('ci', MIDNIGHT).tokensToday, { input: 3, output: 0 });
});

t.test('a clock that steps over midnight and back finds what was used before', async (t) => {
  const { counters } = start();
  counters.addTokens('ci', { input: 100, output: 0 }, LAST_SECOND);
  counters.addTokens('ci', { input: 3, output: 0 }, MIDNIGHT);
  counters.addTokens('ci', { input: 1, output: 0 }, LAST_SECOND);
  t.equal(counters.of('ci', LAST_SECOND).tokensToday.input, 101);
  const yearsAhead = Date.parse('2036-01-01T00:00:00Z');
  counters.addTokens('ci', { input: 9, output: 0 }, yearsAhead);
  t.equal(counters.of('ci', LAST_SECOND).tokensToday.input, 101, 'and one that was years ahead');
  t.equal(counters.of('ci', yearsAhead).tokensToday.input, 9);
});

t.test('days that are over are forgotten', async (t) => {
  const { counters } = start();
  for (let day = 0; day < 400; day++) {
    counters.addTokens('ci', { input: 1, output: 1 }, MIDNIGHT + day * 86_400_000);
  }
  t.equal(counters.tokens.days.size, 3);
});

t.test('what other sidecars have counted is added, until it is old', async (t) => {
  const { counters, time } = start();
  const today = dayOf(NOON);
  const row = { client: 'ci', input: 100, output: 10, requests: 5, streams: 2 };
  counters.useOthers(today, [row]);
  counters.addRequest('ci');
  counters.openStream('ci');
  counters.addTokens('ci', { input: 1, output: 1 }, NOON);
  t.strictSame(counters.of('ci', NOON), {
    requestsLastMinute: 6,
    openStreams: 3,
    tokensToday: { input: 101, output: 11 },
  });
  t.strictSame(counters.own(today), [
    { client: 'ci', input: 1, output: 1, requests: 1, streams: 1 },
  ]);
  t.equal(counters.requestWaitMs('ci', 7, NOON), 0);
  t.equal(counters.requestWaitMs('ci', 6, NOON), 61_000, 'until our own is forgotten');
  t.equal(counters.requestWaitMs('ci', 5, NOON), 15_000, 'until the others say something new');
  t.strictSame(counters.of('ci', MIDNIGHT).tokensToday, { input: 0, output: 0 });
  time.now += 60_000;
  t.match(counters.of('ci', NOON), { openStreams: 1, tokensToday: { input: 101 } });
});
