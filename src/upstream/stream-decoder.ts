import type { Transform } from 'node:stream';
import * as zlib from 'node:zlib';
import { DecodedTooLargeError, MAX_RATIO, mostDecoded } from './content-coding.ts';

/** Takes a coding off a body piece by piece. */
export interface Decoder {
  /**
   * Resolves when all is told that these bytes are.
   * @throws DecodedTooLargeError, or an Error when they are not what the coding says
   */
  write(chunk: Buffer): Promise<void>;
  /** Tells the rest; throws when the bytes ended too early. */
  end(): Promise<void>;
  destroy(): void;
}

/** Decoding takes no more memory than this for one body, 2^23 bytes; Codex needs less. */
const ZSTD_WINDOW_LOG_MAX = 23;

/** Node 20 and the first releases of 22 have no zstd, and its types do not know it. */
export const READS_ZSTD = 'createZstdDecompress' in zlib;

/**
 * @param contentEncoding value of the header
 * @param mostBytes limit of the decoded size
 * @param tell gets what is decoded, in small pieces between which others have their turn, so that
 *   nothing is kept; what it throws ends the decoding
 * @returns null for a coding that cannot be decoded here (zstd before Node.js 22.15), and for more than one
 */
export function openDecoder(
  contentEncoding: string,
  mostBytes: number,
  tell: (decoded: Buffer) => void,
): Decoder | null {
  const name = contentEncoding.trim().toLowerCase();
  if (name === '' || name === 'identity') return plainDecoder(tell);
  const stream = decompressor(name);
  return stream && new StreamDecoder(stream, mostBytes, tell);
}

function plainDecoder(tell: (decoded: Buffer) => void): Decoder {
  return {
    write: async (chunk) => tell(chunk),
    end: async () => undefined,
    destroy: () => undefined,
  };
}

function decompressor(name: string): Transform | null {
  if (name === 'gzip' || name === 'x-gzip') return zlib.createGunzip();
  if (name === 'deflate') return zlib.createInflate();
  if (name === 'br') return zlib.createBrotliDecompress();
  if (name !== 'zstd' || !READS_ZSTD) return null;
  const { ZSTD_d_windowLogMax: key = 100 } = zlib.constants as { ZSTD_d_windowLogMax?: number };
  const { createZstdDecompress: create } = zlib as unknown as ZstdModule;
  return create({ params: { [key]: ZSTD_WINDOW_LOG_MAX } });
}

interface ZstdModule {
  createZstdDecompress(options: object): Transform;
}

class StreamDecoder implements Decoder {
  readonly #stream: Transform;
  readonly #mostBytes: number;
  readonly #tell: (decoded: Buffer) => void;
  #coded = 0;
  #size = 0;
  #ended = false;
  #failure: Error | null = null;
  /** Settles what waits for the stream. */
  #step: () => void = () => undefined;

  constructor(stream: Transform, mostBytes: number, tell: (decoded: Buffer) => void) {
    this.#stream = stream;
    this.#tell = tell;
    this.#mostBytes = mostBytes;
    stream.on('data', this.#onData);
    stream.once('end', () => {
      this.#ended = true;
      // A write whose last bytes stand behind the end of the stream is never confirmed.
      this.#step();
    });
    stream.on('error', (error) => {
      this.#failure ??= error;
      this.#step();
    });
  }

  write(chunk: Buffer): Promise<void> {
    if (this.#ended) return Promise.reject(behindTheEnd());
    this.#coded += chunk.length;
    return this.#take((done) => this.#stream.write(chunk, done));
  }

  async end(): Promise<void> {
    if (!this.#ended) await this.#take(() => this.#stream.end());
    // The decoders of deflate and Brotli leave what stands behind the end, and say nothing.
    if ((this.#stream as unknown as zlib.Zlib).bytesWritten < this.#coded) throw behindTheEnd();
  }

  destroy(): void {
    this.#stream.destroy();
  }

  #take(act: (done: () => void) => void): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#step = () => {
        if (this.#failure) reject(this.#failure);
        else resolve();
      };
      if (this.#failure) this.#step();
      else act(this.#step);
    });
  }

  readonly #onData = (bytes: Buffer): void => {
    this.#size += bytes.length;
    if (this.#size > this.#mostBytes) this.#refuse(`${this.#mostBytes} bytes when decoded`);
    else if (this.#size > mostDecoded(this.#coded))
      this.#refuse(`${MAX_RATIO} times as many bytes when decoded`);
    else this.#pass(bytes);
  };

  #pass(bytes: Buffer): void {
    try {
      this.#tell(bytes);
    } catch (error) {
      this.#fail(error as Error);
    }
  }

  #refuse(most: string): void {
    this.#fail(new DecodedTooLargeError(`it has more than ${most}`));
  }

  /** At once: the write may be confirmed before the stream tells its error. */
  #fail(error: Error): void {
    this.#failure ??= error;
    this.#stream.destroy(error);
  }
}

function behindTheEnd(): Error {
  return new Error('there are bytes behind the end');
}
