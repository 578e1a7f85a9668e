import type { Socket } from 'node:net';

/** One HTTP/1.1 message as it stood on the wire. Text is latin1, one character an octet. */
export interface WireMessage {
  /** Request line, or status line. */
  start: string;
  /** Names as they were spelt, values without the blanks around them. */
  headers: [string, string][];
  /** Without the framing. */
  body: Buffer;
  /** `cut`: the connection ended before the message did. */
  framing: 'none' | 'length' | 'chunked' | 'until close' | 'cut';
  trailers: [string, string][];
}

/** Reads messages off a connection, and knows nothing of HTTP that it could mend. */
export class WireReader {
  #bytes = Buffer.alloc(0);
  #ended = false;
  #wake: () => void = () => undefined;

  constructor(socket: Socket) {
    socket.on('data', (chunk: Buffer) => {
      this.#bytes = Buffer.concat([this.#bytes, chunk]);
      this.#wake();
    });
    for (const event of ['end', 'close']) {
      socket.on(event, () => {
        this.#ended = true;
        this.#wake();
      });
    }
  }

  /** Start line and headers; null when the connection ended instead. */
  async head(): Promise<WireMessage | null> {
    const start = await this.#line();
    const headers = start === null ? null : await this.#fields();
    if (start === null || headers === null) return null;
    return { start, headers, body: Buffer.alloc(0), framing: 'none', trailers: [] };
  }

  /**
   * Reads the rest of `message`.
   * @param untilClose whether a body without a length goes on to the end of the connection
   */
  async body(message: WireMessage, untilClose: boolean): Promise<void> {
    const length = headerOf(message, 'content-length');
    if (/chunked/i.test(headerOf(message, 'transfer-encoding') ?? '')) {
      message.framing = (await this.#chunks(message)) ? 'chunked' : 'cut';
    } else if (length !== null) {
      message.body = await this.#take(Number(length));
      message.framing = message.body.length === Number(length) ? 'length' : 'cut';
    } else if (untilClose) {
      message.body = await this.rest();
      message.framing = 'until close';
    }
  }

  /** Everything up to the end of the connection. */
  rest(): Promise<Buffer> {
    return this.#take(Number.POSITIVE_INFINITY);
  }

  /** @returns whether the last chunk and the trailers came */
  async #chunks(message: WireMessage): Promise<boolean> {
    const chunks: Buffer[] = [];
    for (;;) {
      const size = Number.parseInt((await this.#line()) ?? '', 16);
      if (size === 0) break;
      if (Number.isNaN(size)) return false;
      chunks.push(await this.#take(size));
      if ((await this.#line()) !== '') return false;
    }
    message.body = Buffer.concat(chunks);
    const trailers = await this.#fields();
    message.trailers = trailers ?? [];
    return trailers !== null;
  }

  async #fields(): Promise<[string, string][] | null> {
    const fields: [string, string][] = [];
    for (;;) {
      const line = await this.#line();
      if (line === null) return null;
      if (line === '') return fields;
      const at = line.indexOf(':');
      fields.push([line.slice(0, at), line.slice(at + 1).replace(/^[ \t]+|[ \t]+$/g, '')]);
    }
  }

  async #line(): Promise<string | null> {
    for (;;) {
      const at = this.#bytes.indexOf('\r\n');
      if (at !== -1) {
        const line = this.#bytes.toString('latin1', 0, at);
        this.#bytes = this.#bytes.subarray(at + 2);
        return line;
      }
      if (this.#ended) return null;
      await this.#more();
    }
  }

  async #take(count: number): Promise<Buffer> {
    const pieces: Buffer[] = [];
    for (let missing = count; missing > 0; ) {
      const piece = this.#bytes.subarray(0, missing);
      this.#bytes = this.#bytes.subarray(piece.length);
      pieces.push(piece);
      missing -= piece.length;
      if (missing === 0 || (this.#ended && piece.length === 0)) break;
      if (!this.#ended) await this.#more();
    }
    return Buffer.concat(pieces);
  }

  #more(): Promise<void> {
    return new Promise((resolve) => {
      this.#wake = resolve;
    });
  }
}

/** First value of a header. @param name in lower case */
export function headerOf(message: WireMessage, name: string): string | null {
  return message.headers.find(([other]) => other.toLowerCase() === name)?.[1] ?? null;
}

export interface WireAnswer extends WireMessage {
  /** The 1xx answers before it, without the 100 that only asks for a body. */
  interim: Pick<WireMessage, 'start' | 'headers'>[];
}

/**
 * Reads an answer, and what was sent after a 101.
 * @param method of the request; a HEAD has no body
 * @param onHead called with each status, the interim ones too
 */
export async function readAnswer(
  reader: WireReader,
  method: string,
  onHead: (status: number) => Promise<void>,
): Promise<WireAnswer> {
  const interim: WireAnswer['interim'] = [];
  for (;;) {
    const message = await reader.head();
    if (!message) throw new Error('there was no answer');
    const status = Number(message.start.split(' ')[1]);
    await onHead(status);
    if (status > 101 && status < 200)
      interim.push({ start: message.start, headers: message.headers });
    if (status === 101) message.body = await reader.rest();
    else if (status < 200) continue;
    else if (method !== 'HEAD' && status !== 204 && status !== 304)
      await reader.body(message, true);
    return { ...message, interim };
  }
}
