/**
 * What comes in one packet of the upstream. It may hold hundreds of events, and each write to the
 * client costs as much as all of them, so they are written together, in the same turn of the event
 * loop.
 */
export class Packet {
  readonly #write: (bytes: Buffer) => void;
  #chunks: Buffer[] = [];

  /** @param write gets what came in a turn, unless {@link take} has taken it */
  constructor(write: (bytes: Buffer) => void) {
    this.#write = write;
  }

  get isEmpty(): boolean {
    return this.#chunks.length === 0;
  }

  push(chunk: Buffer): void {
    if (this.#chunks.push(chunk) > 1) return;
    process.nextTick(() => {
      const bytes = this.take();
      if (bytes) this.#write(bytes);
    });
  }

  /** All that has come and was not written; null when there is nothing. */
  take(): Buffer | null {
    const chunks = this.#chunks;
    this.#chunks = [];
    return chunks.length > 1 ? Buffer.concat(chunks) : (chunks[0] ?? null);
  }
}
