import t from 'tap';
import { Histogram, Metrics, statusClass, Tally } from '../src/metrics.ts';
import { exchangeRecord } from './helpers/exchange-record.ts';

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

t.test('status classes', async (t) => {
  t.strictSame([101, 200, 404, 503, null].map(statusClass), ['1xx', '2xx', '4xx', '5xx', 'none']);
});
