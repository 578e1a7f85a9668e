import { type Clock, wholeSeconds } from '../base/clock.ts';
import { isObject } from '../base/json.ts';

/** How much of one window of a limit the account has used. */
export interface LimitWindow {
  /** 0 to 100, and more where the backend lets an account go beyond. */
  usedPercent: number;
  windowMinutes: number | null;
  /** Milliseconds since 1970. */
  resetsAt: number | null;
}

/** What one response says of one limit. */
export interface LimitReport {
  /** `codex` is the common one; others are for one model. */
  limit: string;
  primary: LimitWindow | null;
  secondary: LimitWindow | null;
}

/** One window of a limit as the status shows it. */
export interface AccountLimit {
  limit: string;
  window: 'primary' | 'secondary';
  /** null once the window has ended since the backend said it. */
  usedPercent: number | null;
  windowMinutes: number | null;
  resetsAt: string | null;
  /** When the backend said it. */
  seenAt: string;
}

/** More limits than any account has. */
const MAX_LIMITS = 8;
const LIMIT_NAME = /^[a-z0-9_]{1,40}$/;
const WINDOWS = ['primary', 'secondary'] as const;

/** The limits of the account, as the last responses of the backend told them. */
export class AccountLimits {
  readonly #now: Clock;
  readonly #limits = new Map<string, LimitReport & { seenAt: number }>();

  constructor(now: Clock) {
    this.#now = now;
  }

  /** Names that are no names, and more than {@link MAX_LIMITS} limits, are left out. */
  readonly observe = (report: LimitReport): void => {
    const { limit, primary, secondary } = report;
    if (!LIMIT_NAME.test(limit) || (!primary && !secondary)) return;
    if (!this.#limits.has(limit) && this.#limits.size >= MAX_LIMITS) return;
    this.#limits.set(limit, { ...report, seenAt: this.#now() });
  };

  /** For another account. */
  forget(): void {
    this.#limits.clear();
  }

  snapshot(): AccountLimit[] {
    const now = this.#now();
    const reports = [...this.#limits.values()].sort((a, b) => (a.limit < b.limit ? -1 : 1));
    return reports.flatMap((report) =>
      WINDOWS.flatMap((window) => {
        const shown = report[window];
        if (!shown) return [];
        const { usedPercent, windowMinutes, resetsAt } = shown;
        const isOver = resetsAt !== null && resetsAt <= now;
        return {
          limit: report.limit,
          window,
          usedPercent: isOver ? null : usedPercent,
          windowMinutes,
          resetsAt: resetsAt === null ? null : wholeSeconds(resetsAt),
          seenAt: wholeSeconds(report.seenAt),
        };
      }),
    );
  }
}

/** Headers of a response by their names in lower case. */
type Headers = Readonly<Record<string, unknown>>;

const USED = '-primary-used-percent';

/**
 * The limits that the headers of a response tell, `x-codex-primary-used-percent` and so on: one
 * family of headers for each limit (codex-rs/codex-api/src/rate_limits.rs of openai/codex).
 * @param nowMs for the older form, seconds until the reset
 */
export function limitsInHeaders(headers: Headers, nowMs: number): LimitReport[] {
  const reports: LimitReport[] = [];
  for (const name in headers) {
    if (!name.endsWith(USED) || !name.startsWith('x-')) continue;
    const family = name.slice(2, -USED.length);
    const window = (which: string) => windowInHeaders(headers, `x-${family}-${which}`, nowMs);
    const limit = family.replaceAll('-', '_');
    reports.push({ limit, primary: window('primary'), secondary: window('secondary') });
  }
  return reports;
}

/** What a `codex.rate_limits` event tells; null when it tells nothing. */
export function limitsInEvent(rateLimits: unknown, name: unknown): LimitReport | null {
  if (!isObject(rateLimits)) return null;
  const window = (value: unknown) =>
    isObject(value)
      ? limitWindow(value.used_percent, value.window_minutes, timeOf(value.reset_at))
      : null;
  const limit = typeof name === 'string' ? name.toLowerCase().replaceAll('-', '_') : 'codex';
  return { limit, primary: window(rateLimits.primary), secondary: window(rateLimits.secondary) };
}

function windowInHeaders(headers: Headers, prefix: string, nowMs: number): LimitWindow | null {
  const value = (name: string) => numberIn(headers[`${prefix}-${name}`]);
  const after = value('reset-after-seconds');
  const resetsAt = timeOf(value('reset-at')) ?? (after === null ? null : nowMs + after * 1000);
  const found = limitWindow(value('used-percent'), value('window-minutes'), resetsAt);
  // Zeros without a time of reset are what an account without that window gets.
  const isEmpty = found?.usedPercent === 0 && !found.windowMinutes && found.resetsAt === null;
  return isEmpty ? null : found;
}

function limitWindow(used: unknown, minutes: unknown, resetsAt: number | null): LimitWindow | null {
  if (!isAmount(used) || used > 10_000) return null;
  return { usedPercent: used, windowMinutes: isAmount(minutes) ? minutes : null, resetsAt };
}

function numberIn(header: unknown): number | null {
  return typeof header === 'string' && /^\d{1,12}(\.\d{1,12})?$/.test(header)
    ? Number(header)
    : null;
}

/** Seconds since 1970 as milliseconds; null for what is no time in this millennium. */
function timeOf(seconds: unknown): number | null {
  return isAmount(seconds) && seconds > 0 && seconds < 32_503_680_000 ? seconds * 1000 : null;
}

function isAmount(value: unknown): value is number {
  return typeof value === 'number' && Number.isFinite(value) && value >= 0;
}
