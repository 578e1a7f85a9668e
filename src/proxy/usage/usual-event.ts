/**
 * The first bytes of an event in the form in which the backend writes nearly all of them, and what
 * they tell. Only for speed: an event in any other form has to be read as a whole. A stream has
 * hundreds of these events, so four bytes are compared at a time, which takes half as long.
 */

const SPACE = 0x20;
const QUOTE = 0x22;
const OPEN_BRACE = 0x7b;
const CLOSE_BRACE = 0x7d;

const BEGINNING = Buffer.from('{"type":"response.');
const NAME_AT = BEGINNING.length;
/** So many letters of the name tell what is of interest from all else. */
const LETTERS = 3;
const [CREATED, COMPLETED, INCOMPLETE, FAILED] = ['cre', 'com', 'inc', 'fai'].map(lettersOf);
const [FIRST, SECOND, THIRD, FOURTH, LAST] = [0, 4, 8, 12, 14].map((at) => word(BEGINNING, at));

/** What stands between the type and the data of a server-sent event. */
const DATA_LINE = Buffer.from('\ndata: ');
const [LINE_END, DATA] = [0, 3].map((at) => word(DATA_LINE, at));
/** How the line with the type begins; its end is enough to know it by. */
const TYPE_LINE = Buffer.from('event: response.');
const DOT_AT = TYPE_LINE.length - 4;
const DOT = word(TYPE_LINE, DOT_AT);
/**
 * How far the end of such a line may be guessed. The shortest bytes that {@link isTypeLine} takes for
 * one, and that hide an event of interest before the guessed end, are one byte longer:
 * `e⏎data:{"xxxnse.":1,"type":"response.failed"}⏎` and the end of an empty line.
 */
export const LONGEST_TYPE_LINE = 45;

/** @returns null when the event begins in another way, or not enough of it is here */
export function peek(bytes: Buffer, from: number, to: number): 'created' | 'end' | 'other' | null {
  if (!isUsual(bytes, from, to)) return null;
  const name = letters(bytes, from + NAME_AT);
  if (name === CREATED) return 'created';
  return name === COMPLETED || name === INCOMPLETE || name === FAILED ? 'end' : 'other';
}

function isUsual(bytes: Buffer, from: number, to: number): boolean {
  return (
    to - from >= NAME_AT + LETTERS &&
    word(bytes, from) === FIRST &&
    word(bytes, from + 4) === SECOND &&
    word(bytes, from + 8) === THIRD &&
    word(bytes, from + 12) === FOURTH &&
    word(bytes, from + 14) === LAST
  );
}

/** @param at where an `e` begins a line */
export function isTypeLine(bytes: Buffer, at: number): boolean {
  return bytes.length - at >= TYPE_LINE.length && word(bytes, at + DOT_AT) === DOT;
}

/** Where the JSON begins, if a line ends at `at` and the next one is a data line; -1 if not. */
export function jsonBehind(bytes: Buffer, at: number): number {
  const json = at + DATA_LINE.length;
  if (json > bytes.length) return -1;
  return word(bytes, at) === LINE_END && word(bytes, at + 3) === DATA ? json : -1;
}

/**
 * Passes over events that stand side by side, without anything between them, and tell nothing.
 * @returns where the first other event begins, or one whose end is not certain
 */
export function passSideBySide(bytes: Buffer, from: number): number {
  let at = from;
  while (peek(bytes, at, bytes.length) === 'other') {
    const next = nextEvent(bytes, at);
    if (next === -1) return at;
    at = next;
  }
  return at;
}

/**
 * Where the event after this one begins; -1 when that is not certain. No JSON holds `}{"` with a
 * letter behind it: its quote would end a string, and no letter may follow.
 */
function nextEvent(bytes: Buffer, from: number): number {
  for (let at = from + 1; ; at++) {
    at = bytes.indexOf(OPEN_BRACE, at);
    if (at === -1) return -1;
    const before = bytes[at - 1] as number;
    if (before === CLOSE_BRACE && bytes[at + 1] === QUOTE && isLetter(bytes[at + 2])) return at;
    if (before === CLOSE_BRACE || before <= SPACE) return -1;
  }
}

function isLetter(byte: number | undefined): boolean {
  return byte !== undefined && byte >= 0x61 && byte <= 0x7a;
}

/** Four bytes as one number. */
function word(bytes: Buffer, at: number): number {
  return (letters(bytes, at) << 8) | (bytes[at + 3] as number);
}

/** The next {@link LETTERS} bytes as one number. */
function letters(bytes: Buffer, at: number): number {
  return (
    ((bytes[at] as number) << 16) | ((bytes[at + 1] as number) << 8) | (bytes[at + 2] as number)
  );
}

function lettersOf(text: string): number {
  return letters(Buffer.from(text), 0);
}
