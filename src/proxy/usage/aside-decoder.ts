import type { Transform } from 'node:stream';
import * as zlib from 'node:zlib';

/** Bytes that are decoded together, and how long they may wait for more; one call costs as much as 200. */
const TOGETHER_BYTES = 16 * 1024;
const WAIT_MS = 2_000;
/** Bytes that may wait for decoding in all. It is faster than most networks, so few ever do. */
const MAX_WAITING_BYTES = 32 * 1024 * 1024;
/** No text of ours is compressed to less than a two hundredth; what is would only burn time. */
const MAX_RATIO = 200;
const SPARE_BYTES = 1024 * 1024;
/** How long the last bytes may take at the end. */
const FINISH_MS = 2_000;

/** The memory that all decoders of a sidecar share. */
export class DecodingBudget {
  #left = MAX_WAITING_BYTES;

  take(bytes: number): boolean {
    if (bytes > this.#left) return false;
    this.#left -= bytes;
    return true;
  }

  give(bytes: number): void {
    this.#left += bytes;
  }
}

export interface Decoded {
  push(bytes: Buffer): void;
  /** Nothing more can be read. */
  lost(): void;
}

/**
 * Decodes a copy of what passes, in larger pieces and off the main thread. What passes never waits
 * for it.
 */
export class AsideDecoder {
  readonly #stream: Transform;
  readonly #decoded: Decoded;
  readonly #budget: DecodingBudget;
  #pieces: Buffer[] = [];
  #size = 0;
  #coded = 0;
  #plain = 0;
  #timer: NodeJS.Timeout | null = null;
  #state: 'open' | 'ending' | 'over' = 'open';
  #resolve: () => void = () => undefined;

  constructor(stream: Transform, decoded: Decoded, budget: DecodingBudget) {
    this.#stream = stream;
    this.#decoded = decoded;
    this.#budget = budget;
    stream.on('data', this.#onData);
    stream.on('error', () => this.#lose());
    stream.on('end', () => {
      if (this.#state === 'ending') this.#settle();
      // The coding says that nothing follows, and the connection goes on.
      else this.#lose();
    });
  }

  push(bytes: Buffer): void {
    if (this.#state !== 'open') return;
    this.#pieces.push(bytes);
    this.#size += bytes.length;
    if (this.#size >= TOGETHER_BYTES) this.flush();
    else this.#timer ??= setTimeout(() => this.flush(), WAIT_MS).unref();
  }

  /** Decodes what waits. */
  flush(): void {
    clearTimeout(this.#timer ?? undefined);
    this.#timer = null;
    if (this.#size === 0 || this.#state !== 'open') return;
    const size = this.#size;
    if (!this.#budget.take(size)) {
      this.#lose();
      return;
    }
    this.#coded += size;
    this.#stream.write(Buffer.concat(this.#pieces), () => this.#budget.give(size));
    this.#pieces = [];
    this.#size = 0;
  }

  /** Decodes the rest. Never rejects; resolves after {@link FINISH_MS} at the latest. */
  finish(): Promise<void> {
    if (this.#state !== 'open') return Promise.resolve();
    this.flush();
    if (this.#state !== 'open') return Promise.resolve();
    this.#state = 'ending';
    return new Promise((resolve) => {
      this.#resolve = resolve;
      this.#timer = setTimeout(() => this.#settle(), FINISH_MS);
      this.#stream.end();
    });
  }

  readonly #onData = (bytes: Buffer): void => {
    if (this.#state === 'over') return;
    this.#plain += bytes.length;
    if (this.#plain > this.#coded * MAX_RATIO + SPARE_BYTES) this.#lose();
    else this.#decoded.push(bytes);
  };

  #lose(): void {
    if (this.#state === 'over') return;
    this.#settle();
    this.#decoded.lost();
  }

  #settle(): void {
    this.#state = 'over';
    clearTimeout(this.#timer ?? undefined);
    this.#pieces = [];
    this.#size = 0;
    this.#stream.destroy();
    this.#resolve();
  }
}

// Told like this, the decoders do not mind a body that was cut off.
const { Z_SYNC_FLUSH, BROTLI_OPERATION_FLUSH } = zlib.constants;

/** Of messages that permessage-deflate compresses (RFC 7692); the largest window serves all others. */
export function inflater(): Transform {
  return zlib.createInflateRaw({ finishFlush: Z_SYNC_FLUSH });
}

const DECODERS: Record<string, () => Transform> = {
  gzip: () => zlib.createGunzip({ finishFlush: Z_SYNC_FLUSH }),
  'x-gzip': () => zlib.createGunzip({ finishFlush: Z_SYNC_FLUSH }),
  deflate: () => zlib.createInflate({ finishFlush: Z_SYNC_FLUSH }),
  br: () => zlib.createBrotliDecompress({ finishFlush: BROTLI_OPERATION_FLUSH }),
};
// Node 20 and the first releases of 22 have no zstd.
if ('createZstdDecompress' in zlib) {
  DECODERS.zstd = zlib.createZstdDecompress as () => Transform;
}

/** A decoder for a `content-encoding`; null for one that is unknown here, or for several at once. */
export function decoderOf(contentEncoding: string): Transform | null {
  const name = contentEncoding.trim().toLowerCase();
  return Object.hasOwn(DECODERS, name) ? (DECODERS[name]?.() ?? null) : null;
}
