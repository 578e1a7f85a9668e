/** The largest head that we take, from a client as from the upstream. */
export const MAX_HEADER_BYTES = 64 * 1024;

/** The longest token or id that leaves room for the other headers of a request. */
const MAX_VALUE_LENGTH = 32 * 1024;

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
