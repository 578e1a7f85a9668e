/** Longest value that is kept; bytes. */
const MAX_VALUE_BYTES = 4 * 1024;
/** Longest name of a field that is compared, as it stands in the text. */
const MAX_NAME_BYTES = 64;
/** Below this depth nothing is wanted: only brackets and strings are followed. */
const DEEPEST = 2;

const QUOTE = 0x22;
const COMMA = 0x2c;
const COLON = 0x3a;
const BACKSLASH = 0x5c;
const OPEN_BRACKET = 0x5b;
const CLOSE_BRACKET = 0x5d;
const OPEN_BRACE = 0x7b;
const CLOSE_BRACE = 0x7d;

/** Square brackets differ from braces by this bit alone. */
const CURLY = 0x20;

/** What counts between strings, where fields may be wanted. */
const STRUCTURE = new Uint8Array(256);
for (const byte of [QUOTE, OPEN_BRACKET, CLOSE_BRACKET, OPEN_BRACE, CLOSE_BRACE, COMMA, COLON]) {
  STRUCTURE[byte] = 1;
}

// biome-ignore lint/suspicious/noControlCharactersInRegex: all of ASCII is meant
const ASCII = /^[\x00-\x7f]*$/;

/** Bytes of a string that are looked at one by one, before its end is searched for. */
const SHORT_STRING = 16;

const NOTHING: readonly Wanted[] = [];

export interface Wanted {
  name: string;
  /** Where the value goes; null: only fields inside are wanted. */
  path: string | null;
  inside: Wanted[];
}

/**
 * Finds a few fields of a JSON object while its text passes, in pieces of any size, and keeps nothing
 * else. It follows strings and brackets alone, so that of a text that is not JSON it may find
 * anything; a kept value is checked when it is read.
 */
export class JsonFields {
  readonly #root: readonly Wanted[];
  /** null until something is kept: there is a reader for each response. */
  #kept: Map<string, string | null> | null = null;
  #state: 'before' | 'inside' | 'whole' | 'broken' = 'before';
  #depth = 0;
  #inString = false;
  /** The next byte of the string is escaped. */
  #escaped = false;
  /** Whether the container at depth 2 is an object; that at depth 1 is one. */
  #isObjectInside = false;
  /** The next string is the name of a field. */
  #nameNext = false;
  /** Text of the name that is being read; null: the string is a value. */
  #name: string | null = null;
  /** The field whose value is being read, and the one inside of it; null: nothing of it is wanted. */
  #outer: Wanted | null = null;
  #inner: Wanted | null = null;
  /** The value that is being kept, the depth at which it ends, and its text so far. */
  #keeping: string | null = null;
  #keptDepth = 0;
  #value: string | null = '';

  /** @param wanted see {@link wantedFields} */
  constructor(wanted: readonly Wanted[]) {
    this.#root = wanted;
  }

  /** Forgets everything, for the next object. */
  reset(): void {
    this.#kept?.clear();
    this.#state = 'before';
    this.#depth = 0;
    this.#inString = false;
    this.#escaped = false;
    this.#nameNext = false;
    this.#name = null;
    this.#keeping = null;
  }

  /** `before` its first byte, `inside`, `whole` after its last; `broken` when it cannot be JSON. */
  get state(): 'before' | 'inside' | 'whole' | 'broken' {
    return this.#state;
  }

  /**
   * The value of a field; the last one, if there are several.
   * @returns undefined when there was none
   * @throws SyntaxError when it is not JSON, RangeError when it is longer than {@link MAX_VALUE_BYTES}
   */
  value(path: string): unknown {
    const text = this.#kept?.get(path);
    if (text === undefined) return undefined;
    if (text === null) throw new RangeError(`${path} is too long`);
    return JSON.parse(ASCII.test(text) ? text : Buffer.from(text, 'latin1').toString('utf8'));
  }

  /** @returns where the object ended, or `to` */
  push(bytes: Buffer, from: number, to: number): number {
    let at = from;
    let keptFrom = at;
    while (at < to && (this.#state === 'inside' || this.#state === 'before')) {
      const wasKeeping = this.#keeping;
      if (this.#inString) at = this.#passString(bytes, at, to);
      else if (this.#depth > DEEPEST) at = this.#passDeep(bytes, at, to);
      else at = this.#passShallow(bytes, at, to);
      if (wasKeeping === this.#keeping) continue;
      // The comma or bracket behind a value is not part of it.
      if (wasKeeping !== null) this.#endValue(wasKeeping, bytes, keptFrom, at - 1);
      keptFrom = at;
    }
    if (this.#keeping !== null) this.#addToValue(bytes, keptFrom, at);
    return at;
  }

  /** Goes on to the next byte that counts, at a depth where fields may be wanted. */
  #passShallow(bytes: Buffer, from: number, to: number): number {
    let at = from;
    if (this.#state === 'inside') while (at < to && STRUCTURE[bytes[at] as number] === 0) at++;
    if (at === to) return to;
    const byte = bytes[at] as number;
    if (this.#state === 'before') {
      if (byte === OPEN_BRACE) this.#state = 'inside';
      else if (!isSpace(byte)) this.#state = 'broken';
    }
    if (byte === QUOTE) {
      this.#inString = true;
      this.#name = this.#nameNext ? '' : null;
    } else if (byte === COMMA) {
      this.#endAt(this.#depth);
      this.#nameNext = this.#depth === 1 || this.#isObjectInside;
    } else if (byte === COLON) {
      this.#beginValue();
    } else if (byte === OPEN_BRACE || byte === OPEN_BRACKET) {
      this.#open(byte === OPEN_BRACE);
    } else if (byte === CLOSE_BRACE || byte === CLOSE_BRACKET) {
      this.#endAt(this.#depth);
      this.#close();
    }
    return at + 1;
  }

  #passDeep(bytes: Buffer, from: number, to: number): number {
    let at = from;
    let depth = this.#depth;
    while (at < to && depth > DEEPEST) {
      const byte = bytes[at++] as number;
      if (byte === QUOTE) {
        at = endOfShortString(bytes, at, to);
        if (bytes[at] !== QUOTE) at = this.#endOfString(bytes, at, to);
        if (at === to) this.#inString = true;
        else at++;
      } else if ((byte | CURLY) === OPEN_BRACE) depth++;
      else if ((byte | CURLY) === CLOSE_BRACE) depth--;
    }
    this.#depth = depth;
    return at;
  }

  #passString(bytes: Buffer, from: number, to: number): number {
    const end = this.#endOfString(bytes, from, to);
    this.#inString = end === to;
    if (this.#name !== null) this.#passName(this.#name, bytes, from, end);
    return this.#inString ? to : end + 1;
  }

  /** @param before what came of the name in the pieces before */
  #passName(before: string, bytes: Buffer, from: number, end: number): void {
    if (before === '' && !this.#inString && !hasEscape(bytes, from, end)) {
      this.#endName(namedAs(this.#wantedHere, bytes, from, end));
      return;
    }
    const room = MAX_NAME_BYTES - before.length;
    this.#name = before + bytes.toString('latin1', from, Math.min(end, from + room));
    if (this.#inString) return;
    const plain = plainName(this.#name);
    this.#endName(this.#wantedHere.find(({ name }) => name === plain) ?? null);
  }

  /** @returns where its quote is, or `to` */
  #endOfString(bytes: Buffer, from: number, to: number): number {
    let at = this.#escaped ? from : endOfShortString(bytes, from, to);
    if (at < to && bytes[at] === QUOTE && !this.#escaped) return at;
    while (at < to) {
      const found = bytes.indexOf(QUOTE, at);
      const end = found === -1 || found > to ? to : found;
      this.#escaped = isEscaped(bytes, at, end, this.#escaped);
      if (end === to) return to;
      if (!this.#escaped) return end;
      this.#escaped = false;
      at = end + 1;
    }
    return to;
  }

  get #wantedHere(): readonly Wanted[] {
    return this.#depth === 1 ? this.#root : (this.#outer?.inside ?? NOTHING);
  }

  #endName(field: Wanted | null): void {
    this.#name = null;
    this.#nameNext = false;
    if (this.#depth === 1) this.#outer = field;
    else this.#inner = field;
  }

  #beginValue(): void {
    const path = (this.#depth === 1 ? this.#outer : this.#inner)?.path ?? null;
    if (path === null || this.#keeping !== null) return;
    this.#keeping = path;
    this.#keptDepth = this.#depth;
    this.#value = '';
  }

  /** A comma or a bracket ends the value of a field at this depth. */
  #endAt(depth: number): void {
    if (this.#keeping !== null && this.#keptDepth === depth) this.#keeping = null;
    if (depth === 1) this.#outer = null;
    this.#inner = null;
  }

  #open(isObject: boolean): void {
    const depth = ++this.#depth;
    if (depth > DEEPEST) return;
    if (depth === DEEPEST) this.#isObjectInside = isObject;
    this.#nameNext = isObject;
  }

  #close(): void {
    this.#depth--;
    this.#nameNext = false;
    if (this.#depth === 0) this.#state = 'whole';
  }

  #endValue(path: string, bytes: Buffer, from: number, to: number): void {
    this.#addToValue(bytes, from, to);
    this.#kept ??= new Map();
    this.#kept.set(path, this.#value);
  }

  #addToValue(bytes: Buffer, from: number, to: number): void {
    if (this.#value === null) return;
    const isTooLong = this.#value.length + to - from > MAX_VALUE_BYTES;
    this.#value = isTooLong ? null : this.#value + bytes.toString('latin1', from, to);
  }
}

/**
 * What a reader looks for. Made once, because there is a reader for each response.
 * @param paths `name`, or `name.name` of an object inside
 */
export function wantedFields(...paths: string[]): readonly Wanted[] {
  const root: Wanted[] = [];
  for (const path of paths) {
    const [outer = '', inner] = path.split('.');
    const field = wantedAt(root, outer);
    const last = inner === undefined ? field : wantedAt(field.inside, inner);
    last.path = path;
  }
  return root;
}

function wantedAt(fields: Wanted[], name: string): Wanted {
  const known = fields.find((field) => field.name === name);
  if (known) return known;
  const made = { name, path: null, inside: [] };
  fields.push(made);
  return made;
}

/** Looks for the end of a string in its first bytes, which takes less time than a search. */
function endOfShortString(bytes: Buffer, from: number, to: number): number {
  const near = Math.min(to, from + SHORT_STRING);
  let at = from;
  while (at < near && bytes[at] !== QUOTE && bytes[at] !== BACKSLASH) at++;
  return at;
}

function hasEscape(bytes: Buffer, from: number, to: number): boolean {
  for (let at = from; at < to; at++) if (bytes[at] === BACKSLASH) return true;
  return false;
}

function namedAs(
  fields: readonly Wanted[],
  bytes: Buffer,
  from: number,
  to: number,
): Wanted | null {
  for (const field of fields) if (isText(field.name, bytes, from, to)) return field;
  return null;
}

/** @param text of ASCII */
function isText(text: string, bytes: Buffer, from: number, to: number): boolean {
  if (text.length !== to - from) return false;
  for (let i = 0; i < text.length; i++) if (bytes[from + i] !== text.charCodeAt(i)) return false;
  return true;
}

/** A name as it is meant; escapes may spell any character. */
function plainName(text: string): string {
  if (!text.includes('\\')) return text;
  try {
    return String(JSON.parse(`"${text}"`));
  } catch {
    return text;
  }
}

/**
 * Whether the byte at `end` is escaped by those before it.
 * @param wasEscaped whether the one at `from` is
 */
function isEscaped(bytes: Buffer, from: number, end: number, wasEscaped: boolean): boolean {
  let at = end;
  while (at > from && bytes[at - 1] === BACKSLASH) at--;
  const isOdd = (end - at) % 2 === 1;
  return at === from && wasEscaped ? !isOdd : isOdd;
}

function isSpace(byte: number): boolean {
  return byte === 0x20 || byte === 0x0a || byte === 0x0d || byte === 0x09;
}
