const END_OF_HEAD = Buffer.from('\r\n\r\n');
const LAST_CHUNK = Buffer.from('0\r\n\r\n');

/** Finds the end of responses on one connection, with as little work as that takes. */
export class ResponseReader {
  #head = '';
  #partial: Buffer | null = null;
  /** Bytes still to come; -1 before the head is whole, -2 in a chunked body. */
  #missing = -1;
  #tail: Buffer = Buffer.alloc(0);
  /** Length of a response that came in one piece; the next is most likely its twin. */
  #usual = -1;

  /** The head of the last response. */
  get head(): string {
    return this.#head;
  }

  /**
   * @returns whether the response is complete
   * @throws Error when the status is not 200
   */
  push(chunk: Buffer): boolean {
    if (this.#missing === -1) {
      // "HTTP/1.1 200": the first digit of the status.
      if (chunk.length === this.#usual && chunk[9] === 0x32) return true;
      return this.#onHead(this.#partial ? Buffer.concat([this.#partial, chunk]) : chunk);
    }
    if (this.#missing === -2) return this.#onChunked(chunk);
    this.#missing -= chunk.length;
    return this.#isComplete();
  }

  #onHead(bytes: Buffer): boolean {
    const end = bytes.indexOf(END_OF_HEAD);
    this.#partial = end === -1 ? bytes : null;
    if (end === -1) return false;
    this.#head = bytes.toString('latin1', 0, end + 2);
    if (!/^HTTP\/1\.1 (200|101) /.test(this.#head)) {
      throw new Error(`unexpected response: ${bytes.toString('latin1', 0, 600)}`);
    }
    const rest = bytes.length - end - END_OF_HEAD.length;
    const length = /\r\ncontent-length: *(\d+)\r\n/i.exec(this.#head)?.[1];
    if (length !== undefined) {
      this.#missing = Number(length) - rest;
      this.#usual = this.#missing === 0 ? bytes.length : -1;
      return this.#isComplete();
    }
    this.#missing = -2;
    return this.#onChunked(bytes);
  }

  #onChunked(bytes: Buffer): boolean {
    this.#tail =
      bytes.length >= LAST_CHUNK.length
        ? bytes.subarray(-LAST_CHUNK.length)
        : Buffer.concat([this.#tail, bytes]).subarray(-LAST_CHUNK.length);
    if (!this.#tail.equals(LAST_CHUNK)) {
      // The bytes belong to a buffer that is read into again.
      this.#tail = Buffer.from(this.#tail);
      return false;
    }
    this.#tail = Buffer.alloc(0);
    this.#missing = -1;
    return true;
  }

  #isComplete(): boolean {
    if (this.#missing !== 0) return false;
    this.#missing = -1;
    return true;
  }
}
