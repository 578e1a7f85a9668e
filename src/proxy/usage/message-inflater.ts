import * as zlib from 'node:zlib';
import { mostDecoded } from '../../upstream/content-coding.ts';
import { AsideDecoder, type Decoded, type DecodingBudget, inflater } from './aside-decoder.ts';

/** What each message ends with, and senders leave out (RFC 7692, section 7.2.1). */
const END_OF_MESSAGE = Buffer.from([0x00, 0x00, 0xff, 0xff]);
/** How far back a message may point into those before it. */
const WINDOW_BYTES = 32 * 1024;
const EMPTY: Buffer = Buffer.alloc(0);

/** Bytes of whole messages that are inflated together, and how long they may wait for more. */
const TOGETHER_BYTES = 16 * 1024;
const WAIT_MS = 2_000;
const WAIT_SHORTLY_MS = 50;
/** A message that is longer than this is inflated aside, piece by piece. */
const LONGEST_TOGETHER = 64 * 1024;
const FIRST_ROOM = 4 * 1024;
/** Up to here a loop takes less time than a call of `copy`. Most messages have a few bytes. */
const SHORT_BYTES = 64;
/** Room for what comes out, if it is text; each piece of it costs as much as 50 messages. */
const USUAL_RATIO = 8;
const LARGEST_PIECE = 128 * 1024;

/** What `zlib` returns when it is asked for `info`, which its types leave out. */
interface Inflated {
  buffer: Buffer;
  engine: { bytesWritten: number };
}

/**
 * Inflates the messages of a WebSocket that permessage-deflate has compressed (RFC 7692), many in one
 * call. It does so on this thread, because handing a few kilobytes to another takes several times as
 * long as inflating them. Between two calls it keeps the window and no decoder.
 */
export class MessageInflater {
  readonly #decoded: Decoded;
  readonly #budget: DecodingBudget;
  readonly #keepsWindow: boolean;
  #window: Buffer = EMPTY;
  /** Messages that wait: those of the first `#whole` bytes have ended, the last one may not have. */
  #waiting: Buffer = EMPTY;
  #size = 0;
  #whole = 0;
  #timer: NodeJS.Timeout | null = null;
  /** Reads a message that was too long, and all that follow it. */
  #aside: AsideDecoder | null = null;
  #isOver = false;

  /** @param keepsWindow whether messages point into those before them */
  constructor(decoded: Decoded, keepsWindow: boolean, budget: DecodingBudget) {
    this.#decoded = decoded;
    this.#keepsWindow = keepsWindow;
    this.#budget = budget;
  }

  /** Some more of a message. */
  push(bytes: Buffer, from: number, to: number): void {
    const more = to - from;
    if (!this.#hasRoom(more)) {
      this.#aside?.push(bytes, from, to);
      return;
    }
    const waiting = this.#waiting;
    const size = this.#size;
    if (more > SHORT_BYTES) bytes.copy(waiting, size, from, to);
    else for (let i = 0; i < more; i++) waiting[size + i] = bytes[from + i] as number;
    this.#size = size + more;
  }

  /** The message has ended. @param isUrgent whether it waits shortly for more */
  end(isUrgent: boolean): void {
    this.push(END_OF_MESSAGE, 0, END_OF_MESSAGE.length);
    this.#whole = this.#size;
    if (this.#size >= TOGETHER_BYTES) this.flush();
    else if (this.#size > 0) {
      this.#timer ??= setTimeout(this.flush, isUrgent ? WAIT_SHORTLY_MS : WAIT_MS).unref();
    }
  }

  /** Reads the messages that wait. */
  readonly flush = (): void => {
    clearTimeout(this.#timer ?? undefined);
    this.#timer = null;
    this.#aside?.flush();
    if (this.#whole === 0) return;
    const plain = this.#inflate(this.#waiting.subarray(0, this.#whole));
    this.#waiting = Buffer.from(this.#waiting.subarray(this.#whole, this.#size));
    this.#size -= this.#whole;
    this.#whole = 0;
    if (plain === null) this.#lose();
    else this.#tell(plain);
  };

  /** Nothing more comes. Reads the rest; null when there is nothing to wait for. */
  finish(): Promise<void> | null {
    this.flush();
    this.#stop();
    return this.#aside?.finish() ?? null;
  }

  /** @returns false when these bytes are not to wait here */
  #hasRoom(more: number): boolean {
    return this.#size + more <= this.#waiting.length || this.#makeRoom(more);
  }

  #makeRoom(more: number): boolean {
    if (this.#aside !== null || this.#isOver) return false;
    if (this.#size + more > LONGEST_TOGETHER) this.flush();
    if (this.#isOver) return false;
    const size = this.#size + more;
    if (size > LONGEST_TOGETHER) {
      this.#goAside();
      return false;
    }
    if (size <= this.#waiting.length) return true;
    const room = Buffer.allocUnsafe(Math.max(FIRST_ROOM, 2 ** Math.ceil(Math.log2(size))));
    this.#waiting.copy(room, 0, 0, this.#size);
    this.#waiting = room;
    return true;
  }

  #goAside(): void {
    const [begun, size] = [this.#waiting, this.#size];
    this.#aside = new AsideDecoder(inflater(this.#window), this.#decoded, this.#budget);
    this.#stop();
    this.#aside.push(begun, 0, size);
  }

  #inflate(coded: Buffer): Buffer | null {
    const piece = Math.min(LARGEST_PIECE, Math.max(FIRST_ROOM, coded.length * USUAL_RATIO));
    try {
      const { buffer, engine } = zlib.inflateRawSync(coded, {
        info: true,
        finishFlush: zlib.constants.Z_SYNC_FLUSH,
        chunkSize: piece,
        maxOutputLength: mostDecoded(coded.length),
        ...(this.#window.length > 0 ? { dictionary: this.#window } : {}),
      }) as unknown as Inflated;
      if (this.#keepsWindow) this.#window = nextWindow(this.#window, buffer);
      // Less than all when the coding says that nothing follows, and the connection goes on.
      return engine.bytesWritten === coded.length ? buffer : null;
    } catch {
      return null;
    }
  }

  #tell(plain: Buffer): void {
    try {
      this.#decoded.push(plain);
    } catch {
      // A defect of whoever reads must not end what is read.
      this.#lose();
    }
  }

  #lose(): void {
    this.#stop();
    this.#decoded.lost();
  }

  #stop(): void {
    clearTimeout(this.#timer ?? undefined);
    this.#timer = null;
    this.#isOver = true;
    this.#waiting = EMPTY;
    this.#window = EMPTY;
    this.#size = 0;
    this.#whole = 0;
  }
}

/** A copy, because what is left of a long text must not be kept for the sake of its end. */
function nextWindow(window: Buffer, plain: Buffer): Buffer {
  const last = plain.subarray(-WINDOW_BYTES);
  const from = Math.max(0, window.length + last.length - WINDOW_BYTES);
  return Buffer.concat([window.subarray(from), last]);
}
