/** No server keeps us waiting for longer, whatever it says. */
const LONGEST_ASKED_MS = 3_600_000;
/** Pauses that nobody asked for grow up to this. */
const LONGEST_GROWN_MS = 5 * 60_000;

/**
 * How long to wait after `failures` failures in a row: twice as long each time, and as long as the
 * server asks for.
 * @param firstMs after the first failure
 */
export function pauseAfter(failures: number, firstMs: number, askedMs: number | null): number {
  const grown = firstMs * 2 ** Math.min(failures - 1, 30);
  const ours = Math.min(grown, Math.max(LONGEST_GROWN_MS, firstMs));
  return Math.max(ours, askedMs ?? 0);
}

/**
 * The time that a `retry-after` header asks for (RFC 9110, section 10.2.3), an hour at most.
 * @param date the response's `date`, which its `retry-after` is counted from if it is a date too
 * @param now milliseconds since the epoch, in place of a missing date
 * @returns milliseconds; null when there is no such header, or it cannot be read
 */
export function parseRetryAfter(
  { 'retry-after': value, date }: Record<string, string | string[] | undefined>,
  now: number,
): number | null {
  if (typeof value !== 'string') return null;
  const text = value.trim();
  if (/^\d+$/.test(text)) return Math.min(Number(text) * 1000, LONGEST_ASKED_MS);
  // Numbers that are no delay would be taken for years.
  if (!/[a-z]/i.test(text)) return null;
  const from = typeof date === 'string' ? Date.parse(date) : Number.NaN;
  const asked = Date.parse(text) - (Number.isNaN(from) ? now : from);
  return Number.isNaN(asked) ? null : Math.min(Math.max(asked, 0), LONGEST_ASKED_MS);
}
