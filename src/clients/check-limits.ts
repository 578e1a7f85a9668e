import { SidecarError } from '../base/errors.ts';
import type { Client } from './client-tokens.ts';
import type { ClientCounters } from './counters.ts';
import { nextDayAt, untilNextDay } from './daily-tokens.ts';
import { type ClientLimits, NO_LIMITS } from './limits.ts';

/** Nobody knows when a stream ends; this is when it makes sense to look again. */
const STREAM_RETRY_SECONDS = 15;

/**
 * Holds a client to its limits before a request of it counts.
 * @param usesModel whether the request is one that tokens and streams are counted of
 * @param now milliseconds since 1970
 * @throws SidecarError AUTH_CLIENT_LIMIT
 */
export function checkLimits(
  client: Client,
  counters: ClientCounters,
  usesModel: boolean,
  now: number,
): void {
  const { name, limits } = client;
  if (!limits) return;
  if (usesModel) {
    checkTokens(client, counters, now);
    checkStreams(client, counters, now);
  }
  checkRate(name, limits, counters, now);
}

/**
 * The same for a message on a WebSocket, whose stream counts already.
 * @param isFirst whether it has counted as a request, with its upgrade
 * @throws SidecarError AUTH_CLIENT_LIMIT
 */
export function checkMessage(
  client: Client,
  counters: ClientCounters,
  isFirst: boolean,
  now: number,
): void {
  const { name, limits } = client;
  if (!limits) return;
  checkTokens(client, counters, now);
  if (!isFirst) checkRate(name, limits, counters, now);
}

type Limited = Pick<Client, 'name' | 'limits'>;

/** @throws SidecarError AUTH_CLIENT_LIMIT when no further stream may be opened */
export function checkStreams(
  { name, limits }: Limited,
  counters: ClientCounters,
  now: number,
): void {
  const streams = limits?.streams ?? null;
  if (streams !== null && counters.of(name, now).openStreams >= streams)
    throw tooMany(name, streams);
}

/** @throws SidecarError AUTH_CLIENT_LIMIT when the tokens of the day are used up */
export function checkTokens(
  { name, limits }: Limited,
  counters: ClientCounters,
  now: number,
): void {
  const { inputTokensPerDay, outputTokensPerDay } = limits ?? NO_LIMITS;
  if (inputTokensPerDay === null && outputTokensPerDay === null) return;
  const { input, output } = counters.of(name, now).tokensToday;
  if (inputTokensPerDay !== null && input >= inputTokensPerDay) {
    throw spent(name, inputTokensPerDay, 'input', now);
  }
  if (outputTokensPerDay !== null && output >= outputTokensPerDay) {
    throw spent(name, outputTokensPerDay, 'output', now);
  }
}

function checkRate(
  name: string,
  limits: ClientLimits,
  counters: ClientCounters,
  now: number,
): void {
  const { requestsPerMinute } = limits;
  if (requestsPerMinute === null) return;
  const waitMs = counters.requestWaitMs(name, requestsPerMinute, now);
  if (waitMs <= 0) return;
  // Without `usageLimit`: Codex waits so long and then goes on with its turn.
  throw new SidecarError(
    'AUTH_CLIENT_LIMIT',
    `the client token "${name}" may send ${requestsPerMinute} requests a minute`,
    { retryAfterSeconds: waitMs / 1000 },
  );
}

function tooMany(name: string, streams: number): SidecarError {
  return new SidecarError(
    'AUTH_CLIENT_LIMIT',
    `The client token "${name}" may have ${streams} open at once: wait until one ends`,
    { retryAfterSeconds: STREAM_RETRY_SECONDS, usageLimit: { resetsAt: null } },
  );
}

function spent(name: string, limit: number, which: string, now: number): SidecarError {
  return new SidecarError(
    'AUTH_CLIENT_LIMIT',
    `The client token "${name}" has used its ${limit} ${which} tokens of today (UTC): ask for a higher limit`,
    {
      retryAfterSeconds: untilNextDay(now) / 1000,
      usageLimit: { resetsAt: nextDayAt(now) / 1000 },
    },
  );
}
