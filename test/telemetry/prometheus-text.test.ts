import fc from 'fast-check';
import t from 'tap';
import { Counter, Histogram } from '../../src/telemetry/instruments.ts';
import { type MetricFamily, prometheusText } from '../../src/telemetry/prometheus-text.ts';
import { Scrape } from '../helpers/prometheus.ts';

function counterOf(samples: MetricFamily['samples']): MetricFamily {
  return { name: 'some_total', help: 'A \\ and\na line', type: 'counter', samples };
}

t.test('each metric has its help, its type and one line a sample', async (t) => {
  const requests = new Counter('requests_total', 'Requests', ['kind', 'status']);
  requests.add(1, 'own', '2xx');
  requests.add(2, 'own', '4xx');
  const times = new Histogram('time_seconds', 'Times', ['kind'], [0.5, 1]);
  for (const value of [0.25, 0.5, 0.75, 3]) times.observe(value, 'own');
  const level: MetricFamily = { name: 'level', help: 'Level', type: 'gauge', samples: [] };
  t.equal(
    prometheusText([requests.family, times.family, level]),
    `# HELP requests_total Requests
# TYPE requests_total counter
requests_total{kind="own",status="2xx"} 1
requests_total{kind="own",status="4xx"} 2

# HELP time_seconds Times
# TYPE time_seconds histogram
time_seconds_bucket{le="0.5",kind="own"} 2
time_seconds_bucket{le="1",kind="own"} 3
time_seconds_bucket{le="+Inf",kind="own"} 4
time_seconds_sum{kind="own"} 4.5
time_seconds_count{kind="own"} 4

# HELP level Level
# TYPE level gauge
`,
  );
});

t.test('a counter without labels is 0 from the start', async (t) => {
  const counter = new Counter('some_total', 'Some');
  t.strictSame(counter.family.samples, [{ labels: {}, value: 0 }]);
});

t.test('any value of a label stays on its line, and a parser reads it back', async () => {
  const text = fc.string({ unit: fc.constantFrom('"', '\\', '\n', 'n', ',', '}', '{', '=', 'é') });
  fc.assert(
    fc.property(text, text, fc.integer({ min: 0 }), (one, two, value) => {
      const written = prometheusText([counterOf([{ labels: { one, two }, value }])]);
      const lines = written.split('\n');
      const [family] = new Scrape(written).families;
      return (
        lines.length === 4 &&
        family?.metrics.length === 1 &&
        family.metrics[0]?.labels?.one === one &&
        family.metrics[0]?.labels?.two === two &&
        Number(family.metrics[0]?.value) === value
      );
    }),
  );
});

t.test('values that are not finite have the spelling of Prometheus', async (t) => {
  const values = [Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY, Number.NaN, 1e21, 0.1];
  const lines = prometheusText([counterOf(values.map((value) => ({ value })))]).split('\n');
  t.strictSame(
    lines.slice(2, -1),
    ['+Inf', '-Inf', 'NaN', '1e+21', '0.1'].map((v) => `some_total ${v}`),
  );
});
