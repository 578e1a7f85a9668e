import type { TokenUsage } from '../../../src/base/token-usage.ts';
import type { ServerEventListener } from '../../../src/proxy/usage/server-events.ts';
import { TurnCounter } from '../../../src/proxy/usage/turn-counter.ts';
import type { LimitReport } from '../../../src/telemetry/account-limits.ts';
import { ExchangeLog } from '../../../src/telemetry/exchange-record.ts';

/** Collects what a reader tells, as lines. */
export class Told implements ServerEventListener {
  readonly lines: string[] = [];
  readonly reports: LimitReport[] = [];

  created(): void {
    this.lines.push('created');
  }

  ended(model: string | null, usage: TokenUsage | null, unknown: string | null): void {
    this.lines.push(`ended ${model} ${told(usage, unknown)}`);
  }

  failed(): void {
    this.lines.push('failed');
  }

  continued(): void {
    this.lines.push('continued');
  }

  limits(report: LimitReport): void {
    this.reports.push(report);
  }

  limited(reason: string): void {
    this.lines.push(`limited ${reason}`);
  }
}

/** A counter of turns that writes down what it reports. @param defect thrown when limits are told */
export function countedTurns(model: string | null = null, defect: Error | null = null) {
  const log = new ExchangeLog(
    () => 0,
    () => 0,
  );
  const lines: string[] = [];
  log.addTurns({
    turn: (_client, { model: named, usage, unknown }) =>
      lines.push(`${named} ${told(usage, unknown)}`),
    limited: (reason) => lines.push(`limited ${reason}`),
  });
  const reports: LimitReport[] = [];
  const observe = (report: LimitReport) => {
    if (defect) throw defect;
    reports.push(report);
  };
  const limits = { observe };
  const turns = new TurnCounter(log.begin('POST', false), limits, model);
  return { turns, lines, reports };
}

function told(usage: TokenUsage | null, unknown: string | null): string {
  if (unknown === null) return usageText(usage);
  return usage ? `${usageText(usage)} ${unknown}` : unknown;
}

function usageText(usage: TokenUsage | null): string {
  return usage ? Object.values(usage).join('/') : 'nothing';
}

/** An event that tells a limit. */
export const LIMITS = {
  type: 'codex.rate_limits',
  rate_limits: { primary: { used_percent: 1, window_minutes: 300 }, secondary: null },
};

/** A response that ends, with the usage as the backend writes it. */
export function endEvent(usage: unknown, more: object = {}, type = 'response.completed') {
  const tools = [{ type: 'function', parameters: { properties: { usage: { type: 'object' } } } }];
  const output = [{ content: [{ text: 'say "usage":{"input_tokens":9}' }] }];
  const response = { id: 'r', model: 'gpt-x', output, tools, usage, user: null, ...more };
  return { type, sequence_number: 7, response };
}

export const USAGE = {
  input_tokens: 12,
  input_tokens_details: { cached_tokens: 3 },
  output_tokens: 5,
  output_tokens_details: { reasoning_tokens: 2 },
  total_tokens: 17,
};
