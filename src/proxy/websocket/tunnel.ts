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

/** What looks at the two directions. */
export interface FrameSinks {
  up: FrameSink;
  down: FrameSink;
}

/** Status code 1001, "going away" (RFC 6455, section 7.4.1). */
const GOING_AWAY = Buffer.from([0x03, 0xe9]);

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
  #goingAway: 'no' | 'at the next boundary' | 'said' = 'no';
  #halfClosed: NodeJS.Timeout | null = null;

  /**
   * @param early what the client sent before; not yet sent on
   * @param sinks null: nobody looks at the messages
   */
  constructor(
    client: Duplex,
    upstream: Duplex,
    early: readonly Buffer[],
    monotonicNow: MonotonicClock,
    sinks: FrameSinks | null = null,
    limits = TUNNEL_LIMITS,
  ) {
    this.#up = new FrameTracker(sinks?.up);
    this.#down = new FrameTracker(sinks?.down);
    this.#client = client;
    this.#upstream = upstream;
    this.#monotonicNow = monotonicNow;
    this.#limits = limits;
    this.#lastByteAt = monotonicNow();
    this.#lastMessageAt = this.#lastByteAt;
    this.ended = Promise.all([client, upstream].map(closeOf)).then(() => undefined);
    void this.ended.then(() => clearTimeout(this.#halfClosed ?? undefined));
    for (const chunk of early) {
      upstream.write(chunk);
      this.#onClient(chunk);
    }
    this.#join();
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
   * Sends a close frame with 1001 to both sides and waits for them to close, for a limited time. A
   * frame of the upstream that is half sent is let through first. When a frame of the client is half
   * sent, the upstream gets no close frame, but the end of the connection.
   */
  sayGoingAway(): void {
    if (this.#goingAway === 'said' || this.#up.closed) return;
    if (this.#halfClosed) {
      // A side that has ended its half sends no close frame.
      this.#cut();
      return;
    }
    if (!this.#down.atBoundary) {
      this.#goingAway = 'at the next boundary';
      return;
    }
    this.#goingAway = 'said';
    const [client, upstream] = [this.#client, this.#upstream];
    client.unpipe(upstream);
    upstream.unpipe(client);
    client.write(Buffer.concat([Buffer.from([0x88, 2]), GOING_AWAY]));
    if (this.#up.atBoundary) upstream.write(maskedClose());
    else upstream.end();
    // What they still send is dropped; the trackers see their own close frames.
    client.once('end', () => closeGently(client)).resume();
    upstream.once('end', () => upstream.end()).resume();
    const limit = setTimeout(() => this.#cut(), this.#limits.closeMs);
    void this.ended.then(() => clearTimeout(limit));
  }

  #join(): void {
    const [client, upstream] = [this.#client, this.#upstream];
    upstream.on('error', () => upstream.destroy());
    client.on('close', () => {
      // Destroyed, a connection could lose the close frame that it was just given.
      if (this.#goingAway === 'said') upstream.end();
      else upstream.destroy();
    });
    upstream.on('close', () => closeGently(client));
    client.pipe(upstream);
    upstream.pipe(client);
    // Behind those of pipe, so that a boundary is one of what has been written.
    client.on('data', this.#onClient).once('end', this.#onHalfClose);
    upstream.on('data', this.#onUpstream).once('end', this.#onHalfClose);
  }

  readonly #onClient = (chunk: Buffer): void => {
    this.#lastByteAt = this.#monotonicNow();
    if (this.#up.push(chunk)) {
      this.#lastMessageAt = this.#lastByteAt;
      this.#awaitsResponse = true;
    }
    if (this.#goingAway === 'said' && this.#up.closed) closeGently(this.#client);
  };

  readonly #onUpstream = (chunk: Buffer): void => {
    this.#lastByteAt = this.#monotonicNow();
    if (this.#down.push(chunk)) {
      this.#lastMessageAt = this.#lastByteAt;
      this.#awaitsResponse = false;
    }
    if (this.#goingAway === 'at the next boundary') this.sayGoingAway();
    else if (this.#goingAway === 'said' && this.#down.closed) this.#upstream.end();
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

/** A close frame as clients send it (RFC 6455, section 5.3). */
function maskedClose(): Buffer {
  const mask = randomBytes(4);
  const masked = GOING_AWAY.map((byte, i) => byte ^ (mask[i] as number));
  return Buffer.concat([Buffer.from([0x88, 0x82]), mask, masked]);
}

function closeOf(stream: Duplex): Promise<void> {
  return new Promise((resolve) => {
    if (stream.closed) resolve();
    else stream.once('close', resolve);
  });
}
