import type { ServerEvents } from './server-events.ts';
import { isTypeLine, jsonBehind, LONGEST_TYPE_LINE, peek } from './usual-event.ts';

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
  /** Length of the line with the type in the last usual event: the next has the same, mostly. */
  #typeLine = 0;

  constructor(events: ServerEvents) {
    this.#events = events;
  }

  push(bytes: Buffer): void {
    let at = 0;
    while (at < bytes.length) {
      if (this.#betweenEvents) {
        at = this.#passUsualEvents(bytes, at);
        if (at === bytes.length) return;
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

  /**
   * Passes over events in the form in which the backend sends all of them, one line with the type and
   * one with the data, that are here as a whole and tell nothing. Only for speed: one search each.
   * @returns where the first other event begins
   */
  #passUsualEvents(bytes: Buffer, from: number): number {
    let at = from;
    while (bytes[at] === E) {
      const json = this.#jsonOfUsual(bytes, at);
      if (json === -1 || peek(bytes, json, bytes.length) !== 'other') return at;
      const end = bytes.indexOf(LF, json);
      if (end === -1 || bytes[end + 1] !== LF) return at;
      at = end + 2;
    }
    return at;
  }

  #jsonOfUsual(bytes: Buffer, at: number): number {
    const json = isTypeLine(bytes, at) ? jsonBehind(bytes, at + this.#typeLine) : -1;
    if (json !== -1) return json;
    const end = bytes.indexOf(LF, at);
    if (end === -1) return -1;
    if (end - at <= LONGEST_TYPE_LINE) this.#typeLine = end - at;
    return jsonBehind(bytes, end);
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

/** JSON holds no bare line ends, so that the first of either kind ends the line; -1 for none. */
function endOfLine(bytes: Buffer, from: number): number {
  const end = bytes.indexOf(LF, from);
  // A backend that ends lines with a carriage return alone does so from the first line on.
  if (end === -1) return bytes.indexOf(CR, from);
  return bytes[end - 1] === CR && end > from ? end - 1 : end;
}
