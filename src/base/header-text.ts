/** The largest head that we take, from a client as from the upstream. */
export const MAX_HEADER_BYTES = 64 * 1024;

/** What is wrong with a value that {@link isHeaderText} refuses. */
export const NOT_HEADER_TEXT = 'holds a space, a line break or a character that is not ASCII';

/**
 * Whether a header can carry `value` as a token or an id: visible ASCII without spaces. A token that
 * was wrapped when it was pasted is refused here, before any request fails with it.
 */
export function isHeaderText(value: string): boolean {
  return /^[\x21-\x7e]+$/.test(value);
}
