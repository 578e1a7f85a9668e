import prom from 'prom-client';
import type { Histogram } from '../telemetry/metrics.ts';

export type Labels = Record<string, string>;
export type Sample = readonly [Labels, number];

/** Makes metrics of one registry that read their values when somebody asks for them. */
export class MetricFactory {
  readonly #registry: prom.Registry;
  readonly #prefix: string;

  constructor(registry: prom.Registry, prefix: string) {
    this.#registry = registry;
    this.#prefix = prefix;
  }

  counter(name: string, help: string, labelNames: string[], read: () => readonly Sample[]): void {
    new prom.Counter({
      name: this.#prefix + name,
      help,
      labelNames,
      registers: [this.#registry],
      collect() {
        this.reset();
        for (const [labels, value] of read()) this.inc(labels, value);
      },
    });
  }

  gauge(name: string, help: string, labelNames: string[], read: () => readonly Sample[]): void {
    new prom.Gauge({
      name: this.#prefix + name,
      help,
      labelNames,
      registers: [this.#registry],
      collect() {
        this.reset();
        // Without labels a reset leaves a 0 behind, which would be a reading.
        if (labelNames.length === 0) this.remove();
        for (const [labels, value] of read()) this.set(labels, value);
      },
    });
  }

  /** prom-client's own histogram can only be observed into, so what it would give is made here. */
  histogram(
    name: string,
    help: string,
    label: string,
    histograms: ReadonlyMap<string, Histogram>,
  ): void {
    const fullName = this.#prefix + name;
    const metric = {
      name: fullName,
      help,
      type: 'histogram',
      aggregator: 'sum',
      reset: () => undefined,
      get: async () => ({
        name: fullName,
        help,
        type: 'histogram',
        aggregator: 'sum',
        values: [...histograms].flatMap(([value, histogram]) =>
          samplesOf(fullName, { [label]: value }, histogram),
        ),
      }),
    };
    // A registry uses no more of a metric than this; its types ask for the class.
    this.#registry.registerMetric(metric as unknown as prom.Metric);
  }
}

function samplesOf(name: string, labels: Labels, { bounds, counts, sum }: Histogram) {
  let total = 0;
  const buckets = counts.map((count, i) => {
    total += count;
    const le = i < bounds.length ? String(bounds[i]) : '+Inf';
    return { metricName: `${name}_bucket`, labels: { le, ...labels }, value: total };
  });
  return [
    ...buckets,
    { metricName: `${name}_sum`, labels, value: sum },
    { metricName: `${name}_count`, labels, value: total },
  ];
}

/** Samples of a tally whose values are words, one for each label. */
export function samples(
  tally: { readonly entries: [string, number][] },
  ...labelNames: string[]
): Sample[] {
  return tally.entries.map(([value, count]) => {
    const words = value.split(' ');
    return [Object.fromEntries(labelNames.map((name, i) => [name, words[i] ?? ''])), count];
  });
}
