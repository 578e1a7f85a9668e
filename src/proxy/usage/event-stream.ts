import { isOfNoInterest, type ServerEvents } from './server-events.ts';

const LF = 0x0a;
const CR = 0x0d;
const SPACE = 0x20;
const DATA = Buffer.from('data:');
/** First letter of `event:`. */
const E = 0x65;

/** What the line that is being read is, as far as that is known. */
type Line = 'unknown' | 'data' | 'other';

/**
 * Finds the events in a stream of server-sent events (HTML Living Standard, section 9.2.6) and reads
 * their data. The type of an event is in its data too, so the other fields are passed over.
 */
export class EventStream {
  readonly #events: ServerEvents;
  #line: Line = 'unknown';
  /** Bytes of the line so far, as long as it is unknown. */
  #seen = 0;
  /** The line has bytes other than its end. */
  #isBlank = true;
  /** A line feed that belongs to the carriage return before it. */
  #skipsLineFeed = false;
  #hasData = false;
  #betweenEvents = true;

  constructor(events: ServerEvents) {
    this.#events = events;
  }

  push(bytes: Buffer): void {
    let at = 0;
    while (at < bytes.length) {
      if (this.#betweenEvents) {
        const next = passUsualEvent(bytes, at);
        if (next !== at) {
          at = next;
          continue;
        }
        this.#betweenEvents = false;
      }
      if (this.#skipsLineFeed) {
        this.#skipsLineFeed = false;
        if (bytes[at] === LF) {
          at++;
          continue;
        }
      }
      if (this.#line === 'unknown') at = this.#beginLine(bytes, at);
      else at = this.#passLine(bytes, at);
    }
  }

  /** Looks at the next byte of a line whose name is not known yet. */
  #beginLine(bytes: Buffer, from: number): number {
    let at = from;
    while (at < bytes.length) {
      const byte = bytes[at] as number;
      if (byte === LF || byte === CR) return this.#endLine(bytes, at);
      this.#isBlank = false;
      if (this.#seen === DATA.length) {
        this.#beginData();
        // One space after the colon belongs to the name.
        return byte === SPACE ? at + 1 : at;
      }
      if (byte !== DATA[this.#seen]) {
        this.#line = 'other';
        return at;
      }
      this.#seen++;
      at++;
    }
    return at;
  }

  #beginData(): void {
    this.#line = 'data';
    this.#hasData = true;
  }

  #passLine(bytes: Buffer, from: number): number {
    const end = endOfLine(bytes, from);
    const to = end === -1 ? bytes.length : end;
    if (this.#line === 'data' && !this.#events.isPassingOver) this.#events.push(bytes, from, to);
    return end === -1 ? bytes.length : this.#endLine(bytes, end);
  }

  /** @returns where the next line begins */
  #endLine(bytes: Buffer, at: number): number {
    if (this.#isBlank && this.#hasData) {
      this.#hasData = false;
      this.#events.end();
    }
    this.#line = 'unknown';
    this.#seen = 0;
    this.#isBlank = true;
    this.#skipsLineFeed = bytes[at] === CR;
    this.#betweenEvents = !this.#hasData && !this.#skipsLineFeed;
    return at + 1;
  }
}

/**
 * Passes over an event in the form in which the backend sends all of them, one line with its type and
 * one with its data, that is here as a whole and tells nothing. Only for speed: two searches for it.
 * @returns where the next event begins; `from` for any other event
 */
function passUsualEvent(bytes: Buffer, from: number): number {
  if (bytes[from] !== E) return from;
  const line = bytes.indexOf(LF, from);
  if (line === -1 || bytes[line + DATA.length + 1] !== SPACE) return from;
  for (let i = 0; i < DATA.length; i++) if (bytes[line + 1 + i] !== DATA[i]) return from;
  const json = line + DATA.length + 2;
  if (!isOfNoInterest(bytes, json, bytes.length)) return from;
  const end = bytes.indexOf(LF, json);
  return end !== -1 && bytes[end + 1] === LF ? end + 2 : from;
}

/** JSON holds no bare line ends, so that the first of either kind ends the line; -1 for none. */
function endOfLine(bytes: Buffer, from: number): number {
  const end = bytes.indexOf(LF, from);
  // A backend that ends lines with a carriage return alone does so from the first line on.
  if (end === -1) return bytes.indexOf(CR, from);
  return bytes[end - 1] === CR && end > from ? end - 1 : end;
}
