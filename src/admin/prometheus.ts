import type { AccountLimit } from '../telemetry/account-limits.ts';
import { METRIC_PREFIX, type Metrics } from '../telemetry/metrics.ts';
import { type MetricFamily, prometheusText, type Sample } from '../telemetry/prometheus-text.ts';
import { processMetrics } from './process-metrics.ts';
import type { OverallStatus, StatusDocument } from './status.ts';

const STATES: readonly OverallStatus[] = [
  'starting',
  'ready',
  'degraded',
  'unauthenticated',
  'failed',
  'draining',
];

interface MetricSources {
  metrics: Metrics;
  /** Called once a scrape. */
  status: () => StatusDocument;
  /** Clients that follow `/auth/events` now. */
  listeners: () => number;
  /** Audit lines that could not be written; null without an audit log. */
  auditLost: (() => number) | null;
}

/** What `GET /metrics` responds with: what was counted, and what is read at this moment. */
export function scrape({ metrics, status, listeners, auditLost }: MetricSources): string {
  const current = status();
  return prometheusText([
    ...metrics.families,
    ...stateMetrics(current),
    ...storeMetrics(current),
    ...limitMetrics(current),
    gauge('event_listeners', 'Clients that follow /auth/events', [{ value: listeners() }]),
    ...(auditLost ? [auditMetric(auditLost())] : []),
    ...processMetrics(),
  ]);
}

function stateMetrics(status: StatusDocument): MetricFamily[] {
  const { version, connections, bearer, upstream, listener } = status;
  const expiresAt = seconds(bearer.expiresAt);
  const certificateEnd = seconds(listener.certificate?.expiresAt ?? null);
  return [
    gauge('active_exchanges', 'Proxied exchanges that are open', [
      { labels: { transport: 'http' }, value: connections.http },
      { labels: { transport: 'websocket' }, value: connections.websocket },
    ]),
    gauge(
      'status',
      'The status: 1 at the current one',
      STATES.map((state) => ({
        labels: { status: state },
        value: state === status.status ? 1 : 0,
      })),
    ),
    gauge('credential_expiry_timestamp_seconds', 'End of the bearer, if known', known(expiresAt)),
    gauge(
      'certificate_expiry_timestamp_seconds',
      'End of the certificate of the listener, with TLS',
      known(certificateEnd),
    ),
    gauge(
      'clock_skew_seconds',
      "Own clock minus the backend's, if known",
      known(upstream.clockSkewSeconds),
    ),
    gauge('build_info', 'Versions', [
      { labels: { version, node_version: process.version }, value: 1 },
    ]),
  ];
}

const ATTEMPT_STATES = ['idle', 'underWay', 'uncertain', 'over'] as const;

/** A store in a file has no state of its own but whether it holds the tokens in use. */
function storeMetrics({ store }: StatusDocument): MetricFamily[] {
  const shared = store.kind === 'file' ? null : store;
  const { lastContactAt = null, rotation = null } = shared ?? {};
  const contact = seconds(lastContactAt);
  const states = ATTEMPT_STATES.map((state) => ({
    labels: { state },
    value: state === shared?.refresh.state ? 1 : 0,
  }));
  return [
    gauge('store_up', 'Whether the shared store responds', known(shared && +shared.reachable)),
    gauge('store_last_contact_timestamp_seconds', 'Last response of the store', known(contact)),
    gauge('store_unwritten', 'Whether new tokens are in memory only', [
      { value: +store.unwritten },
    ]),
    gauge('store_rotation', 'Token sets since the last sign-in', known(rotation)),
    gauge(
      'refresh_state',
      'The last refresh that any sidecar began: 1 at its state',
      shared ? states : [],
    ),
    gauge(
      'refresh_attempt_age_seconds',
      'How long it has been in that state',
      known(shared?.refresh.ageSeconds ?? null),
    ),
    {
      name: `${METRIC_PREFIX}store_written_back_total`,
      help: 'Writes that the store had lost and this sidecar restored',
      type: 'counter',
      samples: known(shared?.writtenBack ?? null),
    },
  ];
}

/** Of the account, as the upstream tells them; there are at most sixteen. */
function limitMetrics({ accountLimits }: StatusDocument): MetricFamily[] {
  const samples = (of: (limit: AccountLimit) => number | null) =>
    accountLimits.flatMap((limit) => {
      const { limit: name, window } = limit;
      const value = of(limit);
      return value === null ? [] : [{ labels: { limit: name, window }, value }];
    });
  return [
    gauge(
      'account_limit_used_ratio',
      'How much of a limit of the account is used, 1 is all',
      samples(({ usedPercent }) => (usedPercent === null ? null : usedPercent / 100)),
    ),
    gauge(
      'account_limit_reset_timestamp_seconds',
      'When that begins anew',
      samples(({ resetsAt }) => (resetsAt === null ? null : Date.parse(resetsAt) / 1000)),
    ),
    gauge(
      'account_limit_window_seconds',
      'The time to which it applies',
      samples(({ windowMinutes }) => (windowMinutes === null ? null : windowMinutes * 60)),
    ),
  ];
}

function auditMetric(lost: number): MetricFamily {
  const name = `${METRIC_PREFIX}audit_lost_lines_total`;
  const help = 'Audit lines that could not be written';
  return { name, help, type: 'counter', samples: [{ value: lost }] };
}

function gauge(name: string, help: string, samples: Sample[]): MetricFamily {
  return { name: METRIC_PREFIX + name, help, type: 'gauge', samples };
}

function seconds(time: string | null): number | null {
  return time === null ? null : Date.parse(time) / 1000;
}

function known(value: number | null): Sample[] {
  return value === null ? [] : [{ value }];
}
