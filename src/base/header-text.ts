/** The largest head that we take, from a client as from the upstream. */
export const MAX_HEADER_BYTES = 64 * 1024;

/** Longer than any id; an assertion holds two of them and still fits in a header. */
const MAX_ID_LENGTH = 4096;

/** The longest token or id that leaves room for the other headers of a request. */
const MAX_VALUE_LENGTH = 32 * 1024;

/**
 * Whether a foreign id can be a segment of a path and part of an assertion: not blank, not `.` or
 * `..` (which a URL resolves), Unicode that can be percent-encoded, and short.
 */
export function isSegmentId(value: string): boolean {
  if (value.trim() === '' || value === '.' || value === '..') return false;
  return value.length <= MAX_ID_LENGTH && isWellFormed(value);
}

/** Whether a run task can be part of an assertion; it is opaque, and may be any text. */
export function isTaskId(value: string): boolean {
  return value.trim() !== '' && value.length <= MAX_ID_LENGTH && isWellFormed(value);
}

/** What is wrong with an id that {@link isSegmentId} refuses. */
export const NOT_SEGMENT_ID = 'is not an id that a path can carry';

function isWellFormed(value: string): boolean {
  return !/\p{Surrogate}/u.test(value);
}

/** What is wrong with a value that {@link isHeaderText} refuses. */
export const NOT_HEADER_TEXT =
  'holds a space, a line break or a character that is not ASCII, or is too long for a header';

/**
 * Whether a header can carry `value` as a token or an id: visible ASCII without spaces, 32 KiB at most. A token that
 * was wrapped when it was pasted is refused here, before any request fails with it.
 */
export function isHeaderText(value: string): boolean {
  return value.length <= MAX_VALUE_LENGTH && /^[\x21-\x7e]+$/.test(value);
}
