import { isObject, type JsonObject } from '../base/json.ts';
import type { Row, RowContent } from './register.ts';
import { AnnouncementRefused, type AttemptEnd, type Intent } from './store.ts';

type Kind = Intent['kind'];

/** An attempt as the row shows it to every process. */
export interface Attempt {
  id: string;
  by: string;
  /** RFC 3339; for people. */
  at: string;
  /** Grows before each further request. */
  beat: number;
  /** What a refresh started from; 0 for a registration. */
  login: number;
  rotation: number;
  ended: Exclude<AttemptEnd, 'unsent'> | null;
  code: string | null;
}

/** When this process first saw an attempt in its present state, on its own monotonic clock. */
export interface Sighting {
  state: string;
  since: number;
}

export interface AttemptTiming {
  /** An attempt that nothing was heard of for so long belongs to a dead or a stopped process. */
  staleMs: number;
  /** No second request so soon after one whose outcome nobody knows. */
  uncertainMs: number;
  refusedMs: number;
}

const ENDS = ['refused', 'over', 'uncertain', 'registered', 'failed'] as const;

/** The attempt of a kind; null when there is none, when it cannot be read, or when it is past. */
export function readAttempt(row: RowContent, kind: Kind): Attempt | null {
  const value = row.attempts[kind];
  if (!isObject(value)) return null;
  const { id, by, at, beat, login, rotation, ended, code } = value;
  if (typeof id !== 'string' || typeof beat !== 'number') return null;
  const attempt: Attempt = {
    id,
    beat,
    by: typeof by === 'string' ? by : 'unknown',
    at: typeof at === 'string' ? at : '',
    login: Number(login ?? 0),
    rotation: Number(rotation ?? 0),
    ended: ENDS.find((known) => known === ended) ?? null,
    code: typeof code === 'string' ? code : null,
  };
  const past = kind === 'refresh' && !startsFrom(attempt, row);
  return past ? null : attempt;
}

function startsFrom(attempt: Attempt, { login, rotation }: RowContent): boolean {
  return attempt.login === login && attempt.rotation === rotation;
}

/** The attempts that still count for a row with these counters. */
export function currentAttempts(row: RowContent): JsonObject {
  const kinds: Kind[] = ['refresh', 'identity'];
  const counting = kinds.map((kind) => [kind, readAttempt(row, kind)] as const);
  return Object.fromEntries(counting.filter(([, attempt]) => attempt !== null));
}

/**
 * Attempts that the engine has lost: it went back to an older row than this process has seen. The
 * request of such an attempt may still be under way, so nobody may think that there is none.
 * @returns null when nothing was lost
 */
export function lostAttempts(seen: Row | null, row: Row): JsonObject | null {
  if (!seen || seen.login !== row.login) return null;
  if (seen.version < row.version || seen.writeId === row.writeId) return null;
  const then = { ...row, login: seen.login, rotation: seen.rotation };
  const kinds: Kind[] = ['refresh', 'identity'];
  const lost = kinds.flatMap((kind) => {
    const before = readAttempt(seen, kind);
    return before && isBehind(readAttempt(then, kind), before) ? [[kind, before] as const] : [];
  });
  return lost.length === 0 ? null : Object.fromEntries(lost);
}

function isBehind(attempt: Attempt | null, seen: Attempt): boolean {
  if (!attempt) return true;
  if (attempt.id !== seen.id) return false;
  return attempt.beat < seen.beat || (attempt.ended === null && seen.ended !== null);
}

/** Everything of an attempt that its process changes while it lives. */
export function stateOfAttempt({ id, beat, ended }: Attempt): string {
  return `${id} ${beat} ${ended}`;
}

/** An attempt that stands still for too long has an unknown outcome. */
export function isUncertain(attempt: Attempt, ageMs: number, timing: AttemptTiming): boolean {
  return attempt.ended === 'uncertain' || (attempt.ended === null && ageMs >= timing.staleMs);
}

/**
 * Whether another attempt may follow this one.
 * @param ageMs how long this process has seen it in its present state
 * @returns 'wait': somebody is at it
 * @throws AnnouncementRefused
 */
export function mayFollow(
  attempt: Attempt | null,
  ageMs: number,
  intent: Intent,
  timing: AttemptTiming,
): 'go' | 'wait' {
  if (!attempt) return 'go';
  if (attempt.ended === null && ageMs < timing.staleMs) return 'wait';
  if (intent.kind === 'identity') refuseSoon(attempt, ageMs, intent.pauseMs);
  else refuseRefresh(attempt, ageMs, intent.tokenIsOver, timing);
  return 'go';
}

function refuseSoon({ ended, by }: Attempt, ageMs: number, pauseMs: number): void {
  const waitMs = pauseMs - ageMs;
  if ((ended !== 'registered' && ended !== 'failed') || waitMs <= 0) return;
  throw new AnnouncementRefused('paused', `${by} registered a moment ago`, waitMs);
}

function refuseRefresh(
  attempt: Attempt,
  ageMs: number,
  tokenIsOver: boolean,
  timing: AttemptTiming,
): void {
  const { by, code } = attempt;
  if (attempt.ended === 'over') {
    const reason = code ?? 'the login has ended';
    throw new AnnouncementRefused('over', `${by} could not refresh: ${reason}`, 0);
  }
  if (attempt.ended === 'refused' && ageMs < timing.refusedMs) {
    const waitMs = timing.refusedMs - ageMs;
    throw new AnnouncementRefused('refused', `${by} was refused a refresh`, waitMs);
  }
  if (!isUncertain(attempt, ageMs, timing)) return;
  if (tokenIsOver && ageMs >= timing.uncertainMs) return;
  const waitMs = Math.max(1_000, timing.uncertainMs - ageMs);
  const message = `nobody knows whether a refresh of ${by} was carried out`;
  throw new AnnouncementRefused('uncertain', message, waitMs);
}
