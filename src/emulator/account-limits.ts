import type { ServerEvent } from './response.ts';

/** How much of each limit the account has used: the same wherever the backend tells it. */
const LIMITS = {
  primary: { seconds: 18_000, used: 12 },
  secondary: { seconds: 604_800, used: 34 },
} as const;

type Limit = (typeof LIMITS)[keyof typeof LIMITS];

/** In the middle of the window. @returns seconds since 1970 */
const resetOf = ({ seconds }: Limit, nowMs: number) => Math.floor(nowMs / 1000) + seconds / 2;

/** The document of `wham/usage`. */
export function usageDocument(planType: string, nowMs: number): object {
  const window = (limit: Limit) => ({
    used_percent: limit.used,
    limit_window_seconds: limit.seconds,
    reset_after_seconds: limit.seconds / 2,
    reset_at: resetOf(limit, nowMs),
  });
  return {
    plan_type: planType,
    rate_limit: {
      allowed: true,
      limit_reached: false,
      primary_window: window(LIMITS.primary),
      secondary_window: window(LIMITS.secondary),
    },
    credits: { has_credits: false, unlimited: false, balance: null },
  };
}

/** The headers of a response to inference. */
export function limitHeaders(nowMs: number): Record<string, string> {
  const headers = Object.entries(LIMITS).flatMap(([name, limit]) => [
    [`x-codex-${name}-used-percent`, `${limit.used}`],
    [`x-codex-${name}-window-minutes`, `${limit.seconds / 60}`],
    [`x-codex-${name}-reset-at`, `${resetOf(limit, nowMs)}`],
  ]);
  return Object.fromEntries(headers);
}

/** The event with which a turn over a WebSocket begins. */
export function limitsEvent(planType: string, nowMs: number): ServerEvent {
  const window = (limit: Limit) => ({
    used_percent: limit.used,
    window_minutes: limit.seconds / 60,
    reset_at: resetOf(limit, nowMs),
  });
  return {
    type: 'codex.rate_limits',
    plan_type: planType,
    rate_limits: {
      allowed: true,
      limit_reached: false,
      primary: window(LIMITS.primary),
      secondary: window(LIMITS.secondary),
    },
    code_review_rate_limits: null,
    credits: null,
    promo: null,
  };
}
