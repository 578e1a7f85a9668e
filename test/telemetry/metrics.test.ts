import t from 'tap';
import type { CredentialEvent } from '../../src/telemetry/credential-events.ts';
import type { ExchangeRecord } from '../../src/telemetry/exchange-record.ts';
import { Metrics } from '../../src/telemetry/metrics.ts';
import { prometheusText } from '../../src/telemetry/prometheus-text.ts';
import { exchangeRecord } from '../helpers/exchange-record.ts';
import { Scrape } from '../helpers/prometheus.ts';

const P = 'codex_auth_sidecar_';

function scrapeOf(records: Partial<ExchangeRecord>[], events: CredentialEvent[] = []): Scrape {
  const metrics = new Metrics();
  for (const record of records) metrics.finished(exchangeRecord(record));
  for (const event of events) metrics.credential(event);
  return new Scrape(prometheusText(metrics.families));
}

t.test('a histogram counts a value in every bucket that holds it', async (t) => {
  const times = [9, 10, 11, 1_800_000, 1_800_001];
  const scrape = scrapeOf(times.map((firstByteMs) => ({ firstByteMs, upstreamMs: null })));
  const buckets = scrape.buckets(`${P}time_to_first_byte_seconds`, 'assertion');
  t.strictSame(buckets.slice(0, 2), [
    ['0.01', 2],
    ['0.025', 3],
  ]);
  t.strictSame(buckets.slice(-2), [
    ['1800', 4],
    ['+Inf', 5],
  ]);
});

t.test('what is known shows before it is seen', async (t) => {
  const scrape = scrapeOf([], [{ type: 'refresh', outcome: 'refused' }]);
  for (const outcome of ['refreshed', 'takenOver', 'failed']) {
    t.match(scrape.text, `refreshes_total{outcome="${outcome}"} 0\n`);
  }
  t.match(scrape.text, 'refreshes_total{outcome="refused"} 1\n');
  t.match(scrape.text, 'registrations_total{what="task",outcome="failed"} 0\n');
  t.match(scrape.text, 'rejections_total{class="revoked"} 0\n');
  t.match(scrape.text, 'interrupted_total{by="shutdown"} 0\n');
  t.match(scrape.text, 'assertions_total 0\n');
  t.match(scrape.text, 'cloudflare_challenges_total 0\n');
});

t.test('added latency is what the upstream did not take', async (t) => {
  const { text } = scrapeOf([
    { firstByteMs: 340, upstreamMs: 300 },
    { kind: 'own', firstByteMs: null, upstreamMs: null },
  ]);
  t.match(text, `${P}added_latency_seconds_sum{kind="assertion"} 0.04\n`);
  t.match(text, `${P}time_to_first_byte_seconds_sum{kind="assertion"} 0.34\n`);
  t.notMatch(text, /_seconds_sum{kind="own"}/);
});

t.test('whoever stops watching the events interrupts nothing', async (t) => {
  const scrape = scrapeOf([{ kind: 'own', outcome: 'clientGone' }]);
  t.equal(scrape.value(`${P}interrupted_total`), 0);
});

t.test('requests are told apart by kind, method and class of status', async (t) => {
  const record = (method: string | null, status: number | null, kind: 'assertion' | 'own') => ({
    method,
    status,
    kind,
  });
  const scrape = scrapeOf([
    ...[101, 200, 299, 404, 503, null].map((status) => record('GET', status, 'own')),
    record('GET', 200, 'assertion'),
    record('POST', 200, 'own'),
    // A client can make up any number of them.
    record('BREW', 200, 'own'),
    record(null, 999, 'own'),
  ]);
  const lines = [
    ...scrape.text.matchAll(/requests_total{kind="(.+)",method="(.+)",status="(.+)"} (.+)/g),
  ];
  t.strictSame(
    lines.map((line) => line.slice(1).join(' ')),
    [
      'own GET 1xx 1',
      'own GET 2xx 2',
      'own GET 4xx 1',
      'own GET 5xx 1',
      'own GET none 1',
      'own POST 2xx 1',
      'own other 2xx 1',
      'own other 9xx 1',
      'assertion GET 2xx 1',
    ],
  );
});
