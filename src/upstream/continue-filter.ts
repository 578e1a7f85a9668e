import type { Socket } from 'node:net';
import { MAX_HEADER_BYTES } from '../base/header-text.ts';
import { sharedMethods } from './shared-methods.ts';

const END_OF_HEAD = '\r\n\r\n';
/** How every interim response begins; the status follows. */
const INTERIM = Buffer.from('HTTP/1.1 1');
const STATUS_AT = 'HTTP/1.1 '.length;
/** With the character behind the three digits. */
const STATUS_END = STATUS_AT + 4;

/**
 * Undici writes three kinds of text: the head of a request, the size of a chunk with its line ends, and
 * the last chunk. By its length a head is told from the others; a look into it would make one string
 * out of its many parts, which V8 then keeps until a full collection (measured: a third more processor
 * time for each request over TLS).
 */
const LONGEST_FRAMING = 16;

/**
 * Takes each 100 (Continue) out of what an upstream sends. Undici ends the exchange at one, although
 * a client must accept those that it did not ask for (RFC 9110, section 15.2), and gateways send
 * them. Other interim responses go on.
 *
 * Only what stands before the final response is looked at: from the head of a request, which undici
 * writes as one text, to the status line of its response.
 */
export function dropContinues<S extends Socket>(socket: S): S {
  return Object.assign(socket, filtering(socket), { [FILTER]: new ContinueFilter() });
}

const FILTER = Symbol('filter of 100 (Continue)');
type Done = (error?: Error | null) => void;
type Filtered = Socket & { [FILTER]: ContinueFilter };

const filtering = sharedMethods((base) => ({
  push(this: Filtered, chunk: Buffer | null, encoding?: BufferEncoding): boolean {
    const filter = this[FILTER];
    if (chunk === null || !filter.isOpen) return base.push.call(this, chunk, encoding);
    const passed = filter.take(chunk);
    return passed.length === 0 || base.push.call(this, passed, encoding);
  },
  write(this: Filtered, chunk: string, encoding?: BufferEncoding, done?: Done): boolean {
    if (typeof chunk === 'string' && chunk.length > LONGEST_FRAMING) this[FILTER].open();
    return base.write.call(this, chunk, encoding, done);
  },
}));

/** What a connection does between a request and the status line of its response. */
class ContinueFilter {
  #isOpen = false;
  /** The beginning of a head that has not come as a whole. */
  #held: Buffer | null = null;

  /** Whether a final response is still awaited. */
  get isOpen(): boolean {
    return this.#isOpen;
  }

  open(): void {
    this.#isOpen = true;
  }

  /** @returns what goes on; empty when all of it is held or dropped */
  take(chunk: Buffer): Buffer {
    let rest = this.#held ? Buffer.concat([this.#held, chunk]) : chunk;
    this.#held = null;
    const passed: Buffer[] = [];
    while (rest.length > 0) {
      const end = headEnd(rest);
      if (end === 'unknown') {
        this.#held = rest;
        break;
      }
      if (end === 'final') {
        this.#isOpen = false;
        passed.push(rest);
        break;
      }
      if (!isContinue(rest)) passed.push(rest.subarray(0, end));
      rest = rest.subarray(end);
    }
    return passed.length === 1 ? (passed[0] as Buffer) : Buffer.concat(passed);
  }
}

/**
 * Where the interim response at the beginning of `bytes` ends; `final` when there is none, `unknown`
 * until more of it has come.
 */
function headEnd(bytes: Buffer): number | 'final' | 'unknown' {
  const length = Math.min(bytes.length, INTERIM.length);
  if (bytes.compare(INTERIM, 0, length, 0, length) !== 0) return 'final';
  if (bytes.length < STATUS_END) return 'unknown';
  // Switching protocols ends HTTP on this connection; what is no status is for undici to judge.
  const status = bytes.toString('latin1', STATUS_AT, STATUS_END);
  if (!/^1\d\d[ \r\n]$/.test(status) || status.startsWith('101')) return 'final';
  const end = bytes.indexOf(END_OF_HEAD);
  if (end !== -1) return end + END_OF_HEAD.length;
  return bytes.length > MAX_HEADER_BYTES ? 'final' : 'unknown';
}

function isContinue(head: Buffer): boolean {
  return head.toString('latin1', STATUS_AT, STATUS_AT + 3) === '100';
}
