import { randomBytes } from 'node:crypto';
import type { Duplex } from 'node:stream';
import type { MonotonicClock } from '../../base/clock.ts';
import { closeGently } from '../../inbound/lingering-close.ts';
import { type FrameSink, FrameTracker } from './frame-tracker.ts';

interface TunnelLimits {
  /** How long the upstream is silent after its last message before the tunnel is idle; milliseconds. */
  quietMs: number;
  /** How long the two sides may take to answer a close frame; milliseconds. */
  closeMs: number;
  /** How long the other side may be silent once one side has ended; milliseconds. */
  halfClosedMs: number;
}

export const TUNNEL_LIMITS: TunnelLimits = {
  // A model that pauses in the middle of a turn makes it look idle. A turn that is cut costs its user
  // more than a shutdown that takes some seconds longer.
  quietMs: 5_000,
  closeMs: 2_000,
  halfClosedMs: 60_000,
};

/** What looks at a tunnel, and may end it. */
export interface TunnelWatch {
  /** Looks at what the upstream sends; null: nobody does. */
  sink: FrameSink | null;
  /**
   * Asked when a message of the client begins. When it says no, the message is not sent on and the
   * tunnel is closed with 1008.
   */
  admitsMessage: () => boolean;
}

const NO_WATCH: TunnelWatch = { sink: null, admitsMessage: () => true };

/** Status codes of close frames (RFC 6455, section 7.4.1). */
export const GOING_AWAY = 1001;
export const POLICY_VIOLATION = 1008;

/**
 * Two connections joined as bytes until either side ends. The frames are followed in both
 * directions from the first byte on, because in the middle of a stream no boundary can be found; the
 * cost is a look at each frame's head (see `docs/architecture.md`).
 */
export class Tunnel {
  /** Resolves when both connections are closed. */
  readonly ended: Promise<void>;
  readonly #client: Duplex;
  readonly #upstream: Duplex;
  readonly #monotonicNow: MonotonicClock;
  readonly #limits: TunnelLimits;
  readonly #up: FrameTracker;
  readonly #down: FrameTracker;
  #lastByteAt: number;
  /** Control frames do not count. */
  #lastMessageAt: number;
  /** The last message was the client's: the upstream is working on it. */
  #awaitsResponse = false;
  readonly #admitsMessage: () => boolean;
  #closing: 'no' | 'at the next boundary' | 'said' = 'no';
  #closeCode = GOING_AWAY;
  #closeLimit: NodeJS.Timeout | null = null;
  /** Whether the upstream was between two frames when a message was refused; null: none was. */
  #refusedAtBoundary: boolean | null = null;
  #halfClosed: NodeJS.Timeout | null = null;

  /**
   * @param early what the client sent before; not yet sent on
   */
  constructor(
    client: Duplex,
    upstream: Duplex,
    early: readonly Buffer[],
    monotonicNow: MonotonicClock,
    { sink, admitsMessage }: TunnelWatch = NO_WATCH,
    limits = TUNNEL_LIMITS,
  ) {
    this.#up = new FrameTracker();
    this.#down = new FrameTracker(sink);
    this.#client = client;
    this.#upstream = upstream;
    this.#monotonicNow = monotonicNow;
    this.#limits = limits;
    this.#admitsMessage = admitsMessage;
    this.#lastByteAt = monotonicNow();
    this.#lastMessageAt = this.#lastByteAt;
    this.ended = Promise.all([client, upstream].map(closeOf)).then(() => undefined);
    void this.ended.then(() => {
      clearTimeout(this.#halfClosed ?? undefined);
      clearTimeout(this.#closeLimit ?? undefined);
    });
    this.#join();
    for (const chunk of early) this.#onClient(chunk);
    if (!upstream.writableNeedDrain) client.resume();
  }

  /** Whether nothing is under way: no message half sent, none unanswered, and silence for a while. */
  get idle(): boolean {
    return (
      this.#up.betweenMessages &&
      this.#down.betweenMessages &&
      !this.#awaitsResponse &&
      this.#monotonicNow() - this.#lastMessageAt >= this.#limits.quietMs
    );
  }

  /**
   * Sends a close frame to both sides and waits for them to close, for a limited time. A frame of
   * the upstream that is half sent is let through first, within the same time. When a frame of the
   * client is half sent, the upstream gets no close frame, but the end of the connection.
   */
  close(code: number): void {
    if (this.#closing !== 'no') return;
    // The client has closed already; the upstream may never answer it.
    if (this.#up.closed) this.#closeLimit ??= this.#limitClose();
    else this.#beginClose(code);
  }

  #beginClose(code: number): void {
    this.#closeCode = code;
    this.#closing = 'at the next boundary';
    if (this.#halfClosed) {
      // A side that has ended its half sends no close frame.
      this.#cut();
      return;
    }
    this.#closeLimit = this.#limitClose();
    this.#closeAtBoundary();
  }

  #limitClose(): NodeJS.Timeout {
    return setTimeout(() => this.#cut(), this.#limits.closeMs);
  }

  #closeAtBoundary(): void {
    if (!this.#down.atBoundary) return;
    this.#closing = 'said';
    const [client, upstream] = [this.#client, this.#upstream];
    upstream.unpipe(client);
    client.write(closeFrame(this.#closeCode));
    if (this.#refusedAtBoundary ?? this.#up.atBoundary) {
      upstream.write(maskedCloseFrame(this.#closeCode));
    } else {
      upstream.end();
    }
    // What they still send is dropped; the trackers see their own close frames.
    client.once('end', () => closeGently(client)).resume();
    upstream.once('end', () => upstream.end()).resume();
  }

  #join(): void {
    const [client, upstream] = [this.#client, this.#upstream];
    upstream.on('error', () => upstream.destroy());
    client.on('close', () => {
      // Destroyed, a connection could lose the close frame that it was just given.
      if (this.#closing === 'said') upstream.end();
      else upstream.destroy();
    });
    upstream.on('close', () => closeGently(client));
    upstream.on('drain', () => client.resume());
    upstream.pipe(client);
    client.on('data', this.#onClient).once('end', this.#onClientEnd);
    // Behind those of pipe, so that a boundary is one of what has been written.
    upstream.on('data', this.#onUpstream).once('end', this.#onHalfClose);
  }

  /** Not by `pipe`, because a message must be judged before any of it is sent on. */
  readonly #onClient = (chunk: Buffer): void => {
    this.#lastByteAt = this.#monotonicNow();
    const hasData = this.#up.push(chunk);
    if (this.#closing === 'said' && this.#up.closed) closeGently(this.#client);
    if (this.#closing === 'said' || this.#refusedAtBoundary !== null) return;
    for (const start of this.#up.starts) {
      if (this.#closing === 'no' && this.#admitsMessage()) continue;
      this.#refusedAtBoundary = start >= 0;
      // The messages before it were admitted.
      if (start > 0) this.#upstream.write(chunk.subarray(0, start));
      if (this.#closing === 'no') this.#beginClose(POLICY_VIOLATION);
      return;
    }
    if (!this.#upstream.write(chunk)) this.#client.pause();
    if (!hasData) return;
    this.#lastMessageAt = this.#lastByteAt;
    this.#awaitsResponse = true;
  };

  readonly #onClientEnd = (): void => {
    if (this.#closing !== 'said') this.#upstream.end();
    this.#onHalfClose();
  };

  readonly #onUpstream = (chunk: Buffer): void => {
    this.#lastByteAt = this.#monotonicNow();
    if (this.#down.push(chunk)) {
      this.#lastMessageAt = this.#lastByteAt;
      this.#awaitsResponse = false;
    }
    if (this.#closing === 'at the next boundary') this.#closeAtBoundary();
    else if (this.#closing === 'said' && this.#down.closed) this.#upstream.end();
  };

  readonly #onHalfClose = (): void => {
    this.#lastByteAt = this.#monotonicNow();
    if (!this.#halfClosed) this.#watchSilence(this.#limits.halfClosedMs);
  };

  #watchSilence(ms: number): void {
    const look = () => {
      const left = this.#lastByteAt + this.#limits.halfClosedMs - this.#monotonicNow();
      if (left > 0) {
        this.#watchSilence(left);
        return;
      }
      this.#client.destroy();
      this.#upstream.destroy();
    };
    this.#halfClosed = setTimeout(look, ms).unref();
  }

  #cut(): void {
    this.#upstream.destroy();
    closeGently(this.#client);
  }
}

function closeFrame(code: number): Buffer {
  return Buffer.from([0x88, 2, code >> 8, code & 0xff]);
}

/** A close frame as clients send it (RFC 6455, section 5.3). */
function maskedCloseFrame(code: number): Buffer {
  const mask = randomBytes(4);
  const payload = [code >> 8, code & 0xff];
  const masked = payload.map((byte, i) => byte ^ (mask[i] as number));
  return Buffer.concat([Buffer.from([0x88, 0x82]), mask, Buffer.from(masked)]);
}

function closeOf(stream: Duplex): Promise<void> {
  return new Promise((resolve) => {
    if (stream.closed) resolve();
    else stream.once('close', resolve);
  });
}
