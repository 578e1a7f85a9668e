import type { Transform } from 'node:stream';
import * as zlib from 'node:zlib';

/** A coding of responses (RFC 9110, section 8.4.1). */
export type ResponseCoding = 'gzip' | 'br' | 'zstd';

type Compressor = Transform & { flush(done: () => void): void };

const MAKERS: Partial<Record<ResponseCoding, () => Compressor>> = {
  gzip: zlib.createGzip,
  br: zlib.createBrotliCompress,
};
// Node 20 and the first releases of 22 have no zstd.
if ('createZstdCompress' in zlib) MAKERS.zstd = zlib.createZstdCompress as () => Compressor;

/** What this Node.js can do. */
export const RESPONSE_CODINGS = Object.keys(MAKERS) as ResponseCoding[];

/** Compresses a body piece by piece, so that a stream stays one. */
export class Encoder {
  readonly coding: ResponseCoding;
  readonly #stream: Compressor;
  readonly #chunks: Buffer[] = [];

  constructor(coding: ResponseCoding, stream: Compressor) {
    this.coding = coding;
    this.#stream = stream;
    this.#stream.on('data', (chunk: Buffer) => this.#chunks.push(chunk));
  }

  /** The bytes after which whoever decodes has the whole piece. */
  async encode(piece: string): Promise<Buffer> {
    this.#stream.write(piece);
    await new Promise<void>((resolve) => this.#stream.flush(resolve));
    return this.#take();
  }

  /** The bytes that end the body. */
  async end(): Promise<Buffer> {
    const ended = new Promise((resolve) => this.#stream.once('end', resolve));
    this.#stream.end();
    await ended;
    return this.#take();
  }

  #take(): Buffer {
    return Buffer.concat(this.#chunks.splice(0));
  }
}

/** @returns null when the response goes as it is: by the setting, or because the client takes no such coding */
export function encoderFor(
  coding: ResponseCoding | null,
  acceptEncoding: string | undefined,
): Encoder | null {
  const make = coding === null ? undefined : MAKERS[coding];
  if (!make || coding === null || !accepts(acceptEncoding ?? '', coding)) return null;
  return new Encoder(coding, make());
}

function accepts(acceptEncoding: string, coding: ResponseCoding): boolean {
  return acceptEncoding.split(',').some((entry) => {
    const [name, weight = ''] = entry.split(';').map((part) => part.trim().toLowerCase());
    return name === coding && !/^q=0(\.0*)?$/.test(weight);
  });
}
