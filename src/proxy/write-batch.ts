/**
 * Collects what arrives in one turn of the event loop, usually in one packet from the upstream, and
 * hands it over at the end of the turn. One packet may hold hundreds of events, and each write to the
 * client costs as much as all of them, so they are written together.
 */
export class WriteBatch {
  readonly #write: (bytes: Buffer | null) => void;
  #chunks: Buffer[] = [];
  #isOpen = false;

  /** @param write gets at the end of the turn what came in it and was not taken; null when nothing */
  constructor(write: (bytes: Buffer | null) => void) {
    this.#write = write;
  }

  /** Waits for the end of the turn, even if nothing comes. */
  open(): void {
    if (this.#isOpen) return;
    this.#isOpen = true;
    process.nextTick(this.#close);
  }

  push(chunk: Buffer): void {
    this.#chunks.push(chunk);
    this.open();
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
    this.#write(this.take());
  };
}
