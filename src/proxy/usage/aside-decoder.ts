import type { Transform } from 'node:stream';
import * as zlib from 'node:zlib';
import { mostDecoded } from '../../upstream/content-coding.ts';

/** Bytes that are decoded together, and how long they may wait for more; one call costs as much as 200. */
const TOGETHER_BYTES = 16 * 1024;
const WAIT_MS = 2_000;
const SHORT_BYTES = 64;
/** Bytes that may wait for decoding in all. It is faster than most networks, so few ever do. */
const MAX_WAITING_BYTES = 32 * 1024 * 1024;
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
  /** What waits to be decoded; null when nothing does. */
  #waiting: Buffer | null = null;
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

  push(bytes: Buffer, from: number, to: number): void {
    if (this.#size + to - from > TOGETHER_BYTES) this.flush();
    if (this.#state !== 'open') return;
    if (to - from > TOGETHER_BYTES) {
      this.#write(bytes.subarray(from, to));
      return;
    }
    this.#waiting ??= Buffer.allocUnsafe(TOGETHER_BYTES);
    // Messages are a few bytes each, for which a call of `copy` takes longer.
    if (to - from > SHORT_BYTES) bytes.copy(this.#waiting, this.#size, from, to);
    else {
      for (let at = from; at < to; at++)
        this.#waiting[this.#size + at - from] = bytes[at] as number;
    }
    this.#size += to - from;
    this.#timer ??= setTimeout(() => this.flush(), WAIT_MS).unref();
  }

  /** Decodes what waits. */
  flush(): void {
    clearTimeout(this.#timer ?? undefined);
    this.#timer = null;
    const waiting = this.#waiting?.subarray(0, this.#size);
    this.#waiting = null;
    this.#size = 0;
    if (waiting && waiting.length > 0 && this.#state === 'open') this.#write(waiting);
  }

  #write(bytes: Buffer): void {
    const size = bytes.length;
    if (!this.#budget.take(size)) {
      this.#lose();
      return;
    }
    this.#coded += size;
    this.#stream.write(bytes, () => this.#budget.give(size));
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
    if (this.#plain > mostDecoded(this.#coded)) {
      this.#lose();
      return;
    }
    try {
      this.#decoded.push(bytes);
    } catch {
      // A defect of whoever reads must not end the process.
      this.#lose();
    }
  };

  #lose(): void {
    if (this.#state === 'over') return;
    this.#settle();
    this.#decoded.lost();
  }

  #settle(): void {
    this.#state = 'over';
    clearTimeout(this.#timer ?? undefined);
    this.#waiting = null;
    this.#size = 0;
    this.#stream.destroy();
    this.#resolve();
  }
}

// Told like this, the decoders do not mind a body that was cut off.
const { Z_SYNC_FLUSH, BROTLI_OPERATION_FLUSH } = zlib.constants;

/**
 * Of messages that permessage-deflate compresses (RFC 7692); the largest window serves all others.
 * @param window the end of the text before
 */
export function inflater(window: Buffer): Transform {
  const before = window.length > 0 ? { dictionary: window } : {};
  return zlib.createInflateRaw({ finishFlush: Z_SYNC_FLUSH, ...before });
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
