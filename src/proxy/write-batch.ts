import type { Writable } from 'node:stream';

type Corkable = Pick<Writable, 'cork' | 'uncork'>;

/** Where a batch goes. */
export interface BatchSink {
  write(bytes: Buffer): void;
  /** Called at the end of a turn for which {@link WriteBatch.open} has waited in vain. */
  nothingCame(): void;
}

/**
 * Hands over at the end of a turn of the event loop what arrived in it, usually in one packet from the
 * upstream. One packet may hold hundreds of events, and each write to the client costs as much as all
 * of them, so they are written together.
 *
 * Most packets of a stream hold one event, so the first piece of a turn is written at once, into a
 * corked socket: all of the turn still leaves as one packet, and Node need not wait for the end of the
 * turn a second time.
 */
export class WriteBatch {
  readonly #sink: BatchSink;
  #chunks: Buffer[] = [];
  #isOpen = false;
  /** null when nothing was written in this turn; also where the client waits for an earlier response. */
  #corked: Corkable | null = null;

  constructor(sink: BatchSink) {
    this.#sink = sink;
  }

  /** Collects all that comes in this turn. */
  open(): void {
    if (this.#isOpen) return;
    this.#isOpen = true;
    process.nextTick(this.#close);
  }

  /** @param socket of the client; null while it has none */
  push(chunk: Buffer, socket: Corkable | null): void {
    if (this.#isOpen || socket === null) {
      this.#chunks.push(chunk);
      this.open();
      return;
    }
    this.open();
    socket.cork();
    this.#corked = socket;
    this.#sink.write(chunk);
  }

  /** Everything that has come and was not written; null when there is nothing. */
  take(): Buffer | null {
    const chunks = this.#chunks;
    if (chunks.length === 0) return null;
    this.#chunks = [];
    return chunks.length > 1 ? Buffer.concat(chunks) : (chunks[0] as Buffer);
  }

  readonly #close = (): void => {
    this.#isOpen = false;
    const rest = this.take();
    if (rest !== null) this.#sink.write(rest);
    else if (this.#corked === null) this.#sink.nothingCame();
    this.#corked?.uncork();
    this.#corked = null;
  };
}
