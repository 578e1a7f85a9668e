/**
 * Milliseconds since the Unix epoch: for what the wire, a file or a person reads. It steps when the
 * clock is set, so that no duration is measured with it. Passed in wherever time matters, so that
 * tests control it.
 */
export type Clock = () => number;

export const systemClock: Clock = Date.now;

/**
 * Milliseconds since some moment in the past, on a clock that is never set: for every pause, interval
 * and age. It means nothing outside this process, and it stops while the machine is suspended.
 */
export type MonotonicClock = () => number;

export const monotonicClock: MonotonicClock = () => performance.now();

/** RFC 3339, UTC, whole seconds, `Z`: the one time format of registrations and assertions. */
export function wholeSeconds(ms: number): string {
  return `${new Date(ms).toISOString().slice(0, 19)}Z`;
}
