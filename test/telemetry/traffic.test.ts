import t from 'tap';
import { Traffic } from '../../src/telemetry/traffic.ts';
import { BackendClock } from '../../src/upstream/backend-clock.ts';
import { captureLog } from '../helpers/captured-log.ts';
import { exchangeRecord } from '../helpers/exchange-record.ts';

const NOW = Date.parse('2026-11-20T21:30:36.900Z');

function newTraffic(): Traffic {
  const now = () => NOW;
  return new Traffic(now, new BackendClock(now, captureLog().log));
}

t.test('counts what is open, and each end once', async (t) => {
  const traffic = newTraffic();
  const one = traffic.opened('http');
  const two = traffic.opened('websocket');
  t.equal(traffic.open, 2);
  t.strictSame(traffic.snapshot().connections, { http: 1, websocket: 1 });
  one();
  one();
  t.equal(traffic.open, 1);
  two();
  t.equal(traffic.open, 0);
});

t.test('idle resolves when the last one ends, or at once', async (t) => {
  const traffic = newTraffic();
  await traffic.idle();
  const one = traffic.opened('http');
  const two = traffic.opened('websocket');
  let idle = false;
  const waiting = Promise.all([traffic.idle(), traffic.idle()]).then(() => {
    idle = true;
  });
  one();
  await new Promise(setImmediate);
  t.equal(idle, false);
  two();
  await waiting;
  t.equal(idle, true);
});

t.test('remembers the last answer and the clock of the upstream', async (t) => {
  const traffic = newTraffic();
  t.match(traffic.snapshot(), { lastStatus: null, lastResponseAt: null, clockSkewSeconds: null });
  const dated = (date: string, age?: string) => (name: string) => ({ date, age })[name] ?? null;
  traffic.answered(200, dated('Fri, 20 Nov 2026 21:30:06 GMT'));
  t.match(traffic.snapshot(), {
    lastStatus: 200,
    lastResponseAt: '2026-11-20T21:30:36Z',
    clockSkewSeconds: 30,
  });
  traffic.answered(200, dated('Fri, 20 Nov 2026 20:30:06 GMT', '3600'));
  t.equal(traffic.snapshot().clockSkewSeconds, 30, 'a cached answer tells nothing');
  traffic.answered(503, dated('nonsense'));
  t.match(traffic.snapshot(), { lastStatus: 503, clockSkewSeconds: 30 });
});

t.test('counts requests by what they carried, and our own refusals', async (t) => {
  const traffic = newTraffic();
  for (const kind of ['assertion', 'bearer', 'bearer'] as const) traffic.request(kind);
  traffic.finished(exchangeRecord({ status: 403, code: 'AUTH_NO_BEARER' }));
  traffic.finished(exchangeRecord({ status: 401, code: 'AUTH_CLIENT_TOKEN' }));
  traffic.finished(exchangeRecord({ status: 503, code: 'AUTH_DRAINING' }));
  traffic.finished(exchangeRecord({ status: 403, code: null }));
  t.strictSame(traffic.snapshot().requests, {
    assertion: 1,
    bearer: 2,
    degraded: 0,
    denied: 2,
  });
});
