import prom from 'prom-client';
import type { Metrics } from '../telemetry/metrics.ts';
import { addProcessMetrics } from './process-metrics.ts';
import { MetricFactory, samples } from './prometheus-metrics.ts';
import type { OverallStatus, StatusDocument } from './status.ts';

const PREFIX = 'codex_auth_sidecar_';

const STATES: readonly OverallStatus[] = [
  'starting',
  'ready',
  'degraded',
  'unauthenticated',
  'failed',
  'draining',
];

export interface MetricSources {
  metrics: Metrics;
  status: () => StatusDocument;
  /** Clients that follow `/auth/events` now. */
  listeners: () => number;
  /** Audit lines that could not be written; null without an audit log. */
  auditLost: (() => number) | null;
}

export interface Exposition {
  contentType: string;
  text(): Promise<string>;
}

/** The metrics in the text format of Prometheus; everything is read when somebody asks. */
export function createExposition(sources: MetricSources): Exposition {
  const registry = new prom.Registry();
  const make = new MetricFactory(registry, PREFIX);
  addTraffic(make, sources);
  addCredential(make, sources);
  addOwn(make, sources);
  addProcessMetrics(new MetricFactory(registry, ''));
  return { contentType: registry.contentType, text: () => registry.metrics() };
}

function addTraffic(make: MetricFactory, { metrics, status }: MetricSources): void {
  make.counter('requests_total', 'Finished requests', ['kind', 'method', 'status'], () =>
    samples(metrics.requests, 'kind', 'method', 'status'),
  );
  make.counter('received_bytes_total', 'Bytes of bodies that came from clients', ['kind'], () =>
    samples(metrics.received, 'kind'),
  );
  make.counter('sent_bytes_total', 'Bytes of bodies that went to clients', ['kind'], () =>
    samples(metrics.sent, 'kind'),
  );
  make.counter('errors_total', 'Errors that the sidecar itself answered with', ['code'], () =>
    samples(metrics.codes, 'code'),
  );
  make.counter('interrupted_total', 'Proxied exchanges that broke off', ['by'], () =>
    samples(metrics.interrupted, 'by'),
  );
  make.counter('client_requests_total', 'Finished requests by client token', ['client'], () =>
    samples(metrics.clients, 'client'),
  );
  make.counter('cloudflare_challenges_total', 'Answers that were a challenge', [], () => [
    [{}, metrics.challenges],
  ]);
  make.histogram(
    'added_latency_seconds',
    'Time to the first byte without what the upstream took',
    'kind',
    metrics.added,
  );
  make.histogram(
    'time_to_first_byte_seconds',
    "Time to the first byte of the upstream's answer",
    'kind',
    metrics.firstByte,
  );
  make.gauge('active_exchanges', 'Proxied exchanges that are open', ['transport'], () => {
    const { http, websocket } = status().connections;
    return [
      [{ transport: 'http' }, http],
      [{ transport: 'websocket' }, websocket],
    ];
  });
}

function addCredential(make: MetricFactory, { metrics, status }: MetricSources): void {
  make.counter('assertions_total', 'Assertions built and signed', [], () => [
    [{}, metrics.assertions],
  ]);
  make.counter('registrations_total', 'Registrations', ['what', 'outcome'], () =>
    samples(metrics.registrations, 'what', 'outcome'),
  );
  make.counter('refreshes_total', 'Refreshes of the ChatGPT login', ['outcome'], () =>
    samples(metrics.refreshes, 'outcome'),
  );
  make.counter('rejections_total', 'Refusals of the credential upstream', ['class'], () =>
    samples(metrics.rejections, 'class'),
  );
  make.gauge('status', 'The status: 1 at the current one', ['status'], () => {
    const current = status().status;
    return STATES.map((state) => [{ status: state }, state === current ? 1 : 0]);
  });
  make.gauge('credential_expiry_timestamp_seconds', 'End of the bearer, if known', [], () => {
    const { expiresAt } = status().bearer;
    return expiresAt === null ? [] : [[{}, Date.parse(expiresAt) / 1000]];
  });
  make.gauge('clock_skew_seconds', "Own clock minus the backend's, if known", [], () => {
    const { clockSkewSeconds } = status().upstream;
    return clockSkewSeconds === null ? [] : [[{}, clockSkewSeconds]];
  });
}

function addOwn(make: MetricFactory, { status, listeners, auditLost }: MetricSources): void {
  make.gauge('build_info', 'Versions', ['version', 'node_version'], () => [
    [{ version: status().version, node_version: process.version }, 1],
  ]);
  make.gauge('event_listeners', 'Clients that follow /auth/events', [], () => [[{}, listeners()]]);
  if (!auditLost) return;
  make.counter('audit_lost_lines_total', 'Audit lines that could not be written', [], () => [
    [{}, auditLost()],
  ]);
}
