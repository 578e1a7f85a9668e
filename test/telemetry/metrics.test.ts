import t from 'tap';
import { Histogram, Metrics, RequestTally, Tally } from '../../src/telemetry/metrics.ts';
import { exchangeRecord } from '../helpers/exchange-record.ts';

t.test('a histogram counts a value in the first bucket that holds it', async (t) => {
  const histogram = new Histogram([1, 2, 5]);
  for (const value of [0.5, 1, 1.5, 5, 6]) histogram.observe(value);
  t.strictSame(histogram.counts, [2, 1, 1, 1]);
  t.equal(histogram.sum, 14);
});

t.test('a tally shows what is known before it is seen', async (t) => {
  const tally = new Tally(['yes', 'no']);
  tally.add('no', 3);
  t.strictSame(tally.entries, [
    ['yes', 0],
    ['no', 3],
  ]);
});

t.test('added latency is what the upstream did not take', async (t) => {
  const metrics = new Metrics();
  metrics.finished(exchangeRecord({ firstByteMs: 340, upstreamMs: 300 }));
  t.equal(metrics.added.get('assertion')?.sum, 0.04);
  t.equal(metrics.firstByte.get('assertion')?.sum, 0.34);
  metrics.finished(exchangeRecord({ kind: 'own', firstByteMs: null, upstreamMs: null }));
  t.strictSame([...metrics.added.keys()], ['assertion']);
});

t.test('whoever stops watching the events interrupts nothing', async (t) => {
  const metrics = new Metrics();
  metrics.finished(exchangeRecord({ kind: 'own', outcome: 'clientGone' }));
  t.strictSame(Object.fromEntries(metrics.interrupted.entries).clientGone, 0);
});

t.test('requests are told apart by kind, method and class of status', async (t) => {
  const tally = new RequestTally();
  const add = (method: string | null, status: number | null, kind: 'assertion' | 'own' = 'own') =>
    tally.add({ kind, method, status });
  for (const status of [101, 200, 299, 404, 503, null]) add('GET', status);
  add('GET', 200, 'assertion');
  add('POST', 200);
  // A client can make up any number of them.
  add('BREW', 200);
  add(null, 999);
  t.strictSame(tally.entries, [
    ['own GET none', 1],
    ['own GET 1xx', 1],
    ['own GET 2xx', 2],
    ['own GET 4xx', 1],
    ['own GET 5xx', 1],
    ['own POST 2xx', 1],
    ['own other 2xx', 1],
    ['own other 9xx', 1],
    ['assertion GET 2xx', 1],
  ]);
});
