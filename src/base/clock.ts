/** Milliseconds since the Unix epoch. Passed in wherever time matters, so that tests control it. */
export type Clock = () => number;

export const systemClock: Clock = Date.now;

/** RFC 3339, UTC, whole seconds, `Z`: the one time format of registrations and assertions. */
export function wholeSeconds(ms: number): string {
  return `${new Date(ms).toISOString().slice(0, 19)}Z`;
}
