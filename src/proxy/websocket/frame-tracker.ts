const FIN = 0x80;
const OPCODE = 0x0f;
const CONTINUATION = 0x0;
const CLOSE = 0x8;

/** Gets what one direction of a WebSocket says, frame by frame. */
export interface FrameSink {
  /** @param first FIN, the reserved bits and the opcode */
  begin(first: number, masked: boolean): void;
  payload(bytes: Buffer, from: number, to: number): void;
  end(): void;
}

/**
 * Where one direction of a WebSocket stands, from the heads of its frames alone (RFC 6455, section
 * 5.2), which no extension compresses. A payload is skipped by its length; only a sink looks at it.
 */
export class FrameTracker {
  /** Bytes of the current head so far. */
  #seen = 0;
  #first = 0;
  #extended = 0;
  #headSize = 2;
  #length = 0;
  /** Bytes of the current payload still to come. */
  #left = 0;
  #masked = false;
  #control = false;
  #fragmented = false;
  #closed = false;
  #headAt = 0;
  readonly #starts: number[] = [];
  readonly #sink: FrameSink | null;

  /** @param sink null: nobody reads the payloads */
  constructor(sink: FrameSink | null = null) {
    this.#sink = sink;
  }

  /**
   * Where in the last chunk messages have begun; -1 for one whose first byte came before it. Control
   * frames are not messages.
   */
  get starts(): readonly number[] {
    return this.#starts;
  }

  /** Whether a frame may be put in here: none is half sent, and none was the last. */
  get atBoundary(): boolean {
    return this.#left === 0 && this.#seen === 0 && !this.#closed;
  }

  /** Whether no message is half sent either. */
  get betweenMessages(): boolean {
    return this.atBoundary && !this.#fragmented;
  }

  /** Whether a close frame has begun; what follows it means nothing. */
  get closed(): boolean {
    return this.#closed;
  }

  /** @returns whether the chunk held some of a message, and not control frames alone */
  push(chunk: Buffer): boolean {
    let data = false;
    let at = 0;
    this.#headAt = -1;
    this.#starts.length = 0;
    while (at < chunk.length && !this.#closed) {
      if (this.#left > 0) {
        const step = Math.min(this.#left, chunk.length - at);
        this.#sink?.payload(chunk, at, at + step);
        this.#left -= step;
        at += step;
        if (this.#left === 0) this.#sink?.end();
      } else {
        if (this.#seen === 0) this.#headAt = at;
        if (!this.#endsHead(chunk[at++] as number)) continue;
        this.#beginPayload();
      }
      data ||= !this.#control;
    }
    return data;
  }

  #endsHead(byte: number): boolean {
    if (this.#seen === 0) {
      this.#first = byte;
    } else if (this.#seen === 1) {
      const short = byte & 0x7f;
      this.#extended = short === 127 ? 8 : short === 126 ? 2 : 0;
      this.#length = this.#extended > 0 ? 0 : short;
      this.#masked = (byte & 0x80) !== 0;
      this.#headSize = 2 + this.#extended + (this.#masked ? 4 : 0);
    } else if (this.#seen < 2 + this.#extended) {
      this.#length = this.#length * 256 + byte;
    }
    this.#seen++;
    return this.#seen >= 2 && this.#seen === this.#headSize;
  }

  #beginPayload(): void {
    this.#seen = 0;
    this.#left = this.#length;
    const opcode = this.#first & OPCODE;
    this.#control = opcode >= CLOSE;
    if (opcode === CLOSE) this.#closed = true;
    if (!this.#control) {
      if (opcode !== CONTINUATION) this.#starts.push(this.#headAt);
      this.#fragmented = (this.#first & FIN) === 0;
    }
    if (!this.#sink) return;
    this.#sink.begin(this.#first, this.#masked);
    if (this.#length === 0) this.#sink.end();
  }
}
