const QUOTE = 0x22;
const BACKSLASH = 0x5c;
const COLON = 0x3a;
const COMMA = 0x2c;
const OPEN_OBJECT = 0x7b;
const CLOSE_OBJECT = 0x7d;
const OPEN_LIST = 0x5b;
const CLOSE_LIST = 0x5d;

/** What stands between strings in JSON (RFC 8259); a comment, say, could hide a quotation mark. */
const STRUCTURE = new Set(Buffer.from(' \t\r\n{}[]:,+-.0123456789eEtrufalsn'));
const LITERAL = new Set(Buffer.from('+-.0123456789eEtrufalsn'));
const WHITE_SPACE = new Set(Buffer.from(' \t\r\n'));

/** The longest name that could be one of `model`, each letter escaped; and the longest of a model. */
const MOST_TEXT = 1024;

/** A request body from which nobody can tell for sure which model it asks for. */
export class UnclearModelError extends Error {
  override readonly name = 'UnclearModelError';
}

type Place = 'start' | 'name' | 'colon' | 'value' | 'literal' | 'behind' | 'end';

/**
 * Reads the name of the model out of a JSON object while it passes, without keeping it. All of the
 * object is looked at, because of two fields with one name parsers take the last, and because the
 * first one may come late. What a parser could read in another way is unclear, so that nothing
 * passes that was not judged.
 */
export class ModelScanner {
  /** null until it was read. */
  model: string | null = null;
  #place: Place = 'start';
  #depth = 0;
  #inString = false;
  #escaped = false;
  /** The string that is read, while somebody has to know it; null: nobody has to. */
  #text: number[] | null = null;
  /** The value that is read now is that of the model. */
  #isModel = false;

  /** Whether the object is complete. */
  get isComplete(): boolean {
    return this.#place === 'end';
  }

  /** @throws UnclearModelError */
  push(bytes: Uint8Array): void {
    for (let at = 0; at < bytes.length; at++) {
      if (this.#inString && !this.#text) at = this.#passString(bytes, at);
      if (at >= bytes.length) return;
      const byte = bytes[at] as number;
      if (this.#inString) this.#readString(byte);
      else if (this.#depth > 1) this.#readNested(byte);
      else this.#readTop(byte);
    }
  }

  /** Most of a body is in strings that nobody has to know. @returns where the next quotation mark is */
  #passString(bytes: Uint8Array, from: number): number {
    const quote = bytes.indexOf(QUOTE, from);
    const end = quote === -1 ? bytes.length : quote;
    let before = end;
    while (before > from && bytes[before - 1] === BACKSLASH) before--;
    const escapes = end - before + (before === from && this.#escaped ? 1 : 0);
    this.#escaped = escapes % 2 === 1;
    return end;
  }

  #readString(byte: number): void {
    if (byte === QUOTE && !this.#escaped) {
      this.#inString = false;
      if (this.#depth === 1) this.#endString();
      return;
    }
    this.#escaped = byte === BACKSLASH && !this.#escaped;
    if (!this.#text) return;
    this.#text.push(byte);
    // A longer name is another one.
    if (this.#text.length > MOST_TEXT) this.#text = null;
  }

  #endString(): void {
    const text = this.#text && decode(this.#text);
    if (this.#place === 'name') {
      this.#place = 'colon';
      this.#isModel = text === 'model';
      // Some parsers ignore the case of names, and others do not.
      if (!this.#isModel && text?.toLowerCase() === 'model') {
        throw new UnclearModelError(`it has a field "${text}", which is not "model"`);
      }
      return;
    }
    this.#place = 'behind';
    if (!this.#isModel) return;
    if (this.model !== null) throw new UnclearModelError('it names the model twice');
    if (text === null) throw new UnclearModelError('the name of its model is too long');
    this.model = text;
  }

  #readNested(byte: number): void {
    if (byte === QUOTE) this.#beginString(null);
    else if (byte === OPEN_OBJECT || byte === OPEN_LIST) this.#depth++;
    else if (byte === CLOSE_OBJECT || byte === CLOSE_LIST) this.#depth--;
    else if (!STRUCTURE.has(byte)) throw notJson();
    if (this.#depth === 1) this.#place = 'behind';
  }

  #readTop(byte: number): void {
    if (WHITE_SPACE.has(byte)) {
      if (this.#place === 'literal') this.#place = 'behind';
      return;
    }
    const next = this.#step(byte);
    if (next === null) throw notJson();
    this.#place = next;
  }

  /** @returns where this byte leads; null when it may not be here */
  #step(byte: number): Place | null {
    switch (this.#place) {
      case 'start':
        this.#depth = 1;
        return byte === OPEN_OBJECT ? 'name' : null;
      case 'name':
        if (byte === CLOSE_OBJECT) return this.#end();
        return byte === QUOTE ? this.#beginString([]) : null;
      case 'colon':
        return byte === COLON ? 'value' : null;
      case 'value':
        return this.#beginValue(byte);
      case 'literal':
      case 'behind':
        if (byte === COMMA) return 'name';
        if (byte === CLOSE_OBJECT) return this.#end();
        return this.#place === 'literal' && LITERAL.has(byte) ? 'literal' : null;
      case 'end':
        return null;
    }
  }

  #beginValue(byte: number): Place | null {
    if (byte === QUOTE) return this.#beginString(this.#isModel ? [] : null);
    if (this.#isModel) throw new UnclearModelError('its model is not a string');
    if (byte === OPEN_OBJECT || byte === OPEN_LIST) {
      this.#depth = 2;
      return 'value';
    }
    return LITERAL.has(byte) ? 'literal' : null;
  }

  #beginString(text: number[] | null): Place {
    this.#inString = true;
    this.#escaped = false;
    this.#text = text;
    return this.#place;
  }

  #end(): Place {
    this.#depth = 0;
    return 'end';
  }
}

/** @param bytes what stands between the quotation marks */
function decode(bytes: number[]): string {
  try {
    return JSON.parse(`"${Buffer.from(bytes).toString('utf8')}"`);
  } catch {
    throw notJson();
  }
}

function notJson(): UnclearModelError {
  return new UnclearModelError('it is not a JSON object');
}
