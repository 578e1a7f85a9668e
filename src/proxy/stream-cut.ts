import type { ResponseHead } from './response-head.ts';

/** How long a stream that is cut may take to reach the end of an event; milliseconds. */
const CUT_MS = 2_000;
const LF = 0x0a;
const CR = 0x0d;

/** Finds the place where a response may be broken off: a stream of events at the end of an event. */
export class StreamCut {
  readonly #cutNow: () => void;
  #hasEvents = false;
  #last: Buffer | null = null;
  #limit: NodeJS.Timeout | null = null;
  #isReached = false;

  /** @param cutNow called when the place does not come in time */
  constructor(cutNow: () => void) {
    this.#cutNow = cutNow;
  }

  /** The place was asked for, and is behind what passed last. */
  get isReached(): boolean {
    return this.#isReached;
  }

  begin({ header }: ResponseHead): void {
    const isStream = /^text\/event-stream\b/i.test(header('content-type') ?? '');
    this.#hasEvents = isStream && header('content-encoding') === null;
  }

  /** @returns as much of the chunk as may pass */
  pass(chunk: Buffer): Buffer {
    this.#last = chunk;
    const end = this.#limit ? endOfLastEvent(chunk) : 0;
    if (end === 0) return chunk;
    this.#isReached = true;
    return chunk.subarray(0, end);
  }

  /** From now on the response is to be broken off. */
  request(): void {
    if (this.#limit) return;
    const last = this.#last;
    const isBetween = !this.#hasEvents || !last || endOfLastEvent(last) === last.length;
    if (isBetween) this.#cutNow();
    else this.#limit = setTimeout(this.#cutNow, CUT_MS);
  }

  /** The response is over. */
  settle(): void {
    clearTimeout(this.#limit ?? undefined);
  }
}

/**
 * Where the last whole event of a piece of an event stream ends: behind an empty line (HTML standard,
 * section 9.2.6). 0 when no event ends in it.
 */
function endOfLastEvent(chunk: Buffer): number {
  for (let at = chunk.lastIndexOf(LF); at > 0; at = chunk.lastIndexOf(LF, at - 1)) {
    const before = chunk[at - 1] === CR ? at - 2 : at - 1;
    if (chunk[before] === LF) return at + 1;
  }
  return 0;
}
