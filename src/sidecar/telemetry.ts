import type { Logger } from '../base/logger.ts';
import { ClientCounters } from '../clients/counters.ts';
import { UsageBook } from '../clients/usage-book.ts';
import type { Config } from '../config/resolve.ts';
import { UsageReading } from '../proxy/usage/reading.ts';
import { AccountLimits } from '../telemetry/account-limits.ts';
import { Activity } from '../telemetry/activity.ts';
import { ExchangeLog, type ExchangeRecord } from '../telemetry/exchange-record.ts';
import { Metrics } from '../telemetry/metrics.ts';
import { Traffic } from '../telemetry/traffic.ts';
import { BackendClock } from '../upstream/backend-clock.ts';
import type { ServerDeps } from './server.ts';

type TelemetryDeps = Pick<ServerDeps, 'now' | 'store' | 'monotonicNow' | 'log' | 'audit'>;

export type Telemetry = ReturnType<typeof createTelemetry>;

/** Everything that counts or writes down what happens. */
export function createTelemetry(
  config: Config,
  { now, store, monotonicNow, log, audit = null }: TelemetryDeps,
) {
  const accountLimits = new AccountLimits(now);
  const telemetry = {
    accountLimits,
    backendClock: new BackendClock(now, log),
    traffic: new Traffic(now),
    exchangeLog: new ExchangeLog(now, monotonicNow),
    activity: new Activity(now, monotonicNow),
    counters: new ClientCounters(monotonicNow),
    usageBook: new UsageBook(),
    usage: new UsageReading(accountLimits, now, config.usage.enabled),
    metrics: config.metrics.enabled ? new Metrics() : null,
  };
  const { exchangeLog, traffic, activity, metrics, counters, usageBook } = telemetry;
  exchangeLog.add(traffic.finished);
  exchangeLog.add(activity.finished);
  if (metrics) exchangeLog.add(metrics.finished);
  if (metrics) exchangeLog.addTurns(metrics.turns);
  exchangeLog.add(({ client, kind }) => {
    if (kind !== 'own') usageBook.addRequest(client, now());
  });
  exchangeLog.addTurns({
    turn: (client, turn) => {
      usageBook.addTurn(client, turn, now());
      if (client !== null && turn.usage) counters.addTokens(client, turn.usage, now());
    },
    limited: () => undefined,
  });
  if (metrics) store.observe(metrics.storeOperation);
  if (audit) exchangeLog.add(audit.finished);
  // Whether anyone reads it does not change while we run.
  if (log.isLevelEnabled('debug')) exchangeLog.add((record) => logExchange(log, record));
  return telemetry;
}

function logExchange(log: Logger, record: ExchangeRecord): void {
  const { client, method, path, kind, status, durationMs, code, outcome } = record;
  const ms = Math.round(durationMs);
  log.debug({ client, method, path, kind, status, ms, code, outcome }, 'request');
}
