import parse from 'parse-prometheus-text-format';
import { scrape } from '../../src/admin/prometheus.ts';
import { buildStatus } from '../../src/admin/status.ts';
import { Metrics } from '../../src/telemetry/metrics.ts';
import { send } from './exchange.ts';
import { statusInput } from './status-input.ts';

interface Family {
  name: string;
  type: string;
  metrics: { value?: string; labels?: Record<string, string> }[];
}

/** The metrics of a sidecar, as a Prometheus server reads them. */
export class Scrape {
  readonly text: string;
  readonly families: Family[];

  constructor(text: string) {
    this.text = text;
    this.families = parse(text) as Family[];
  }

  static async of(url: string): Promise<Scrape> {
    return new Scrape((await send(`${url}/metrics`)).text);
  }

  names(): string[] {
    return this.families.map(({ name }) => name);
  }

  /** Sum of the samples that have these labels; of a counter or gauge. */
  value(name: string, labels: Record<string, string> = {}): number {
    const family = this.families.find((candidate) => candidate.name === name);
    if (!family) throw new Error(`no metric ${name}`);
    return family.metrics
      .filter((sample) =>
        Object.entries(labels).every(([label, value]) => sample.labels?.[label] === value),
      )
      .reduce((sum, { value }) => sum + Number(value), 0);
  }

  /** Samples of a histogram, `le` and count; the parser puts those of different labels together. */
  buckets(name: string, kind: string): [string, number][] {
    const lines = this.text.matchAll(
      new RegExp(`^${name}_bucket\\{le="([^"]+)",kind="${kind}"\\} (\\d+)$`, 'gm'),
    );
    return [...lines].map(([, le = '', count]) => [le, Number(count)]);
  }
}

/** Names of all metrics that a sidecar can expose, those of an audit log included. */
export function allMetricNames(): Set<string> {
  const text = scrape({
    metrics: new Metrics(),
    status: () => buildStatus(statusInput()),
    listeners: () => 0,
    auditLost: () => 0,
  });
  return new Set([...text.matchAll(/^# TYPE (\w+) /gm)].map(([, name = '']) => name));
}
