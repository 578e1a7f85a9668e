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

/** What counts between strings, where fields may be wanted, and deeper. */
const STRUCTURE = new Uint8Array(256);
const BRACKETS = new Uint8Array(256);
for (const byte of [QUOTE, OPEN_BRACKET, CLOSE_BRACKET, OPEN_BRACE, CLOSE_BRACE]) {
  STRUCTURE[byte] = 1;
  BRACKETS[byte] = 1;
}
for (const byte of [COMMA, COLON]) STRUCTURE[byte] = 1;

// biome-ignore lint/suspicious/noControlCharactersInRegex: all of ASCII is meant
const ASCII = /^[\x00-\x7f]*$/;

/** Bytes of a string that are looked at one by one, before its end is searched for. */
const SHORT_STRING = 16;

export interface Wanted {
  /** Where the value goes; null: only fields inside are wanted. */
  path: string | null;
  inside: Map<string, Wanted>;
}

/**
 * Finds a few fields of a JSON object while its text passes, in pieces of any size, and keeps nothing
 * else. It follows strings and brackets alone, so that of a text that is not JSON it may find
 * anything; a kept value is checked when it is read.
 */
export class JsonFields {
  readonly #root: ReadonlyMap<string, Wanted>;
  readonly #kept = new Map<string, string | null>();
  #state: 'before' | 'inside' | 'whole' | 'broken' = 'before';
  #depth = 0;
  #inString = false;
  /** The next byte of the string is escaped. */
  #escaped = false;
  /** Whether the container at each depth up to {@link DEEPEST} is an object. */
  readonly #isObject = [false, false, false];
  /** The next string is the name of a field. */
  #nameNext = false;
  /** Text of the name that is being read; null: the string is a value. */
  #name: string | null = null;
  /** What is wanted at each depth: the field whose value is being read. */
  readonly #field: (Wanted | null)[] = [null, null, null];
  /** The value that is being kept, the depth at which it ends, and its text so far. */
  #keeping: string | null = null;
  #keptDepth = 0;
  #value: string | null = '';

  /** @param wanted see {@link wantedFields} */
  constructor(wanted: ReadonlyMap<string, Wanted>) {
    this.#root = wanted;
  }

  /** Forgets everything, for the next object. */
  reset(): void {
    this.#kept.clear();
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
    const text = this.#kept.get(path);
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
      else if (this.#state === 'inside' && STRUCTURE[bytes[at] as number] === 0) at++;
      else at = this.#step(bytes, at);
      if (wasKeeping === this.#keeping) continue;
      // The comma or bracket behind a value is not part of it.
      if (wasKeeping !== null) this.#endValue(wasKeeping, bytes, keptFrom, at - 1);
      keptFrom = at;
    }
    if (this.#keeping !== null) this.#addToValue(bytes, keptFrom, at);
    return at;
  }

  /** One byte between strings, at a depth where fields may be wanted. */
  #step(bytes: Buffer, at: number): number {
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
      this.#nameNext = this.#isObject[this.#depth] === true;
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
    for (let at = from; at < to; at++) {
      const byte = bytes[at] as number;
      if (BRACKETS[byte] === 0) continue;
      if (byte === QUOTE) {
        at = this.#endOfString(bytes, at + 1, to);
        if (at < to) continue;
        this.#inString = true;
        this.#name = null;
        return to;
      }
      if (byte === OPEN_BRACE || byte === OPEN_BRACKET) this.#depth++;
      else if (--this.#depth <= DEEPEST) return at + 1;
    }
    return to;
  }

  #passString(bytes: Buffer, from: number, to: number): number {
    const end = this.#endOfString(bytes, from, to);
    if (this.#name !== null) {
      const room = MAX_NAME_BYTES - this.#name.length;
      this.#name += bytes.toString('latin1', from, Math.min(end, from + room));
    }
    if (end === to) return to;
    this.#inString = false;
    if (this.#name !== null) this.#endName(this.#name);
    return end + 1;
  }

  /** @returns where its quote is, or `to` */
  #endOfString(bytes: Buffer, from: number, to: number): number {
    let at = from;
    if (!this.#escaped) {
      const near = Math.min(to, from + SHORT_STRING);
      for (; at < near; at++) {
        const byte = bytes[at];
        if (byte === QUOTE) return at;
        if (byte === BACKSLASH) break;
      }
    }
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

  #endName(text: string): void {
    this.#name = null;
    this.#nameNext = false;
    const within = this.#depth === 1 ? this.#root : this.#field[this.#depth - 1]?.inside;
    this.#field[this.#depth] = within?.get(plainName(text)) ?? null;
  }

  #beginValue(): void {
    const path = this.#field[this.#depth]?.path ?? null;
    if (path === null || this.#keeping !== null) return;
    this.#keeping = path;
    this.#keptDepth = this.#depth;
    this.#value = '';
  }

  /** A comma or a bracket ends the value of a field at this depth. */
  #endAt(depth: number): void {
    if (this.#keeping !== null && this.#keptDepth === depth) this.#keeping = null;
    this.#field[depth] = null;
  }

  #open(isObject: boolean): void {
    const depth = ++this.#depth;
    if (depth > DEEPEST) return;
    this.#isObject[depth] = isObject;
    this.#nameNext = isObject;
    this.#field[depth] = null;
  }

  #close(): void {
    this.#depth--;
    this.#nameNext = false;
    if (this.#depth === 0) this.#state = 'whole';
  }

  #endValue(path: string, bytes: Buffer, from: number, to: number): void {
    this.#addToValue(bytes, from, to);
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
export function wantedFields(...paths: string[]): ReadonlyMap<string, Wanted> {
  const root = new Map<string, Wanted>();
  for (const path of paths) {
    const [outer = '', inner] = path.split('.');
    const field = wantedAt(root, outer);
    const last = inner === undefined ? field : wantedAt(field.inside, inner);
    last.path = path;
  }
  return root;
}

function wantedAt(fields: Map<string, Wanted>, name: string): Wanted {
  const known = fields.get(name);
  if (known) return known;
  const made = { path: null, inside: new Map<string, Wanted>() };
  fields.set(name, made);
  return made;
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
