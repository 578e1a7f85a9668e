import t from 'tap';
import { Traffic } from '../../src/telemetry/traffic.ts';
import { exchangeRecord } from '../helpers/exchange-record.ts';

const NOW = Date.parse('2026-11-20T21:30:36.900Z');

function newTraffic(): Traffic {
  return new Traffic(() => NOW);
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

t.test('remembers the last response of the upstream', async (t) => {
  const traffic = newTraffic();
  t.match(traffic.snapshot(), { lastStatus: null, lastResponseAt: null });
  traffic.answered(200);
  t.match(traffic.snapshot(), { lastStatus: 200, lastResponseAt: '2026-11-20T21:30:36Z' });
  traffic.answered(503);
  t.match(traffic.snapshot(), { lastStatus: 503 });
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
