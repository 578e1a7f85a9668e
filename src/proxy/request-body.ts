import type { IncomingMessage } from 'node:http';
import type { Readable } from 'node:stream';
import { SidecarError } from '../base/errors.ts';
import { hasBody } from '../inbound/has-body.ts';
import { SentBody } from './sent-body.ts';

/**
 * The request body, cut off with AUTH_BODY_TOO_LARGE when it passes `limit` bytes; null when the
 * request has no body. A declared length is judged before anything is read.
 * @param wanted called when the upstream begins to take it
 * @param judged what passes of the body, where it is judged on the way; null: it comes as it is
 */
export function openBody(
  request: IncomingMessage,
  limit: number,
  replay: ReplayBudget,
  wanted: () => void,
  judged: Readable | null = null,
): KeptBody | null {
  if (!hasBody(request)) return null;
  const { 'content-length': declared, 'transfer-encoding': encoding } = request.headers;
  if (encoding !== undefined && encoding.toLowerCase() !== 'chunked') {
    throw new SidecarError('AUTH_REQUEST_INVALID', 'only chunked transfer-encoding is supported');
  }
  if (declared !== undefined && Number(declared) > limit) throw tooLarge(limit);
  if (judged) return new RequestBody(judged, limit, replay, wanted);
  const arrived = request.readableLength;
  if (arrived === 0 || String(arrived) !== declared) {
    return new RequestBody(request, limit, replay, wanted);
  }
  const body = new WholeBody(request.read(), replay);
  // The stream ends only when its end is read, too.
  request.resume();
  return body;
}

/** A body on its way to the upstream, and the part that is kept for a replay. */
export interface KeptBody {
  /** What is sent. */
  readonly content: SentBody;
  /** Bytes that have come so far. */
  readonly size: number;
  /**
   * Waits for the rest of a body that was answered early.
   * @returns whether the whole body came, and was kept
   */
  whole(): Promise<boolean>;
  /** The whole body once more; null when it is not replayable. */
  replay(): Buffer | null;
  /** Gives the kept bytes back; there will be no replay. */
  forget(): void;
}

/** Bounds of what is kept for replays: of one body, and of all bodies at once; bytes. */
export class ReplayBudget {
  readonly perBody: number;
  readonly #total: number;
  #kept = 0;

  constructor(perBody: number, total: number) {
    this.perBody = perBody;
    this.#total = total;
  }

  /** @returns false when it would be too much; nothing is taken then */
  take(bytes: number): boolean {
    if (this.#kept + bytes > this.#total) return false;
    this.#kept += bytes;
    return true;
  }

  give(bytes: number): void {
    this.#kept -= bytes;
  }
}

/**
 * A body that came in one piece with its head: one write sends it. Undici keeps a body until the
 * response ends, so it gets this object, which can let go of the bytes.
 */
class WholeBody extends SentBody implements KeptBody {
  readonly content = this;
  readonly size: number;
  readonly #budget: ReplayBudget;
  readonly #isKept: boolean;
  #bytes: Buffer | null;

  constructor(bytes: Buffer, budget: ReplayBudget) {
    super();
    this.size = bytes.length;
    this.#budget = budget;
    this.#bytes = bytes;
    this.#isKept = bytes.length <= budget.perBody && budget.take(bytes.length);
  }

  protected override begin(): void {
    if (this.#bytes !== null) this.send(this.#bytes);
    this.emit('end');
  }

  async whole(): Promise<boolean> {
    return this.#isKept && this.#bytes !== null;
  }

  replay(): Buffer | null {
    return this.#isKept ? this.#bytes : null;
  }

  forget(): void {
    if (this.#isKept && this.#bytes) this.#budget.give(this.#bytes.length);
    this.#bytes = null;
  }
}

/**
 * How far the client is read ahead of the upstream; bytes. What is kept for a replay is in memory in
 * any case, so it is handed on at once, and its end is seen early.
 */
const AHEAD_BYTES = 64 * 1024;
const AHEAD_OF_KEPT_BYTES = 1024 * 1024;

/**
 * The body apart from its connection: undici destroys it when the upstream fails or answers early.
 * The unread rest is then drained, so that the client gets its response and can send its next
 * request on the same connection; it is still kept for a replay.
 */
class RequestBody extends SentBody implements KeptBody {
  readonly content = this;
  readonly #request: Readable;
  readonly #limit: number;
  readonly #budget: ReplayBudget;
  readonly #wanted: () => void;
  /** What came before undici was ready; null from then on. */
  #early: Buffer[] | null = [];
  /** Bytes that came since the socket was last empty. */
  #ahead = 0;
  #size = 0;
  /** null: outgrown, or given back. */
  #kept: Buffer[] | null = [];
  #keptBytes = 0;
  #complete = false;
  #settle: () => void = () => undefined;
  /** The body is complete, or will not be replayed. */
  readonly #settled = new Promise<void>((resolve) => {
    this.#settle = resolve;
  });

  constructor(request: Readable, limit: number, budget: ReplayBudget, wanted: () => void) {
    super();
    this.#request = request;
    this.#limit = limit;
    this.#budget = budget;
    this.#wanted = wanted;
    request.on('data', this.#onData);
    request.once('end', this.#onEnd);
    request.once('error', this.#onError);
    request.once('close', () => this.#settle());
  }

  get size(): number {
    return this.#size;
  }

  async whole(): Promise<boolean> {
    await this.#settled;
    return this.#complete && this.#kept !== null;
  }

  replay(): Buffer | null {
    return this.#complete && this.#kept ? Buffer.concat(this.#kept) : null;
  }

  forget(): void {
    this.#budget.give(this.#keptBytes);
    this.#kept = null;
    this.#keptBytes = 0;
    this.#settle();
  }

  protected override begin(): void {
    this.#wanted();
    const early = this.#early ?? [];
    this.#early = null;
    for (const chunk of early) this.send(chunk);
    if (this.#complete) this.emit('end');
    else this.drained();
  }

  protected override drained(): void {
    if (this.isPaused || this.#early) return;
    this.#ahead = 0;
    this.#request.resume();
  }

  protected override ended(): void {
    this.#early = null;
    this.#request.resume();
  }

  readonly #onData = (chunk: Buffer): void => {
    this.#size += chunk.length;
    this.#keep(chunk);
    if (this.#size > this.#limit) {
      this.forget();
      this.destroy(tooLarge(this.#limit));
      return;
    }
    if (this.destroyed) return;
    if (this.#early) this.#early.push(chunk);
    else this.send(chunk);
    if (!this.isPaused) return;
    this.#ahead += chunk.length;
    if (this.#ahead > (this.#kept ? AHEAD_OF_KEPT_BYTES : AHEAD_BYTES)) this.#request.pause();
  };

  #keep(chunk: Buffer): void {
    if (!this.#kept) return;
    if (this.#size > this.#budget.perBody || !this.#budget.take(chunk.length)) {
      this.forget();
      return;
    }
    this.#kept.push(chunk);
    this.#keptBytes += chunk.length;
  }

  readonly #onEnd = (): void => {
    this.#complete = true;
    this.#settle();
    if (!this.#early && !this.destroyed) this.emit('end');
  };

  readonly #onError = (error: Error): void => {
    this.destroy(error);
  };
}

function tooLarge(limit: number): SidecarError {
  return new SidecarError(
    'AUTH_BODY_TOO_LARGE',
    `the request body is larger than limits.bodyBytes (${limit})`,
  );
}
