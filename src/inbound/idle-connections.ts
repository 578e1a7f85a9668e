import type { Duplex } from 'node:stream';
import type { MonotonicClock } from '../base/clock.ts';

/** A connection that has been idle for less time than this is never closed; milliseconds. */
const GRACE_MS = 1_000;

/** The responses on one connection. */
interface Responses {
  /** How many are not finished; a client may send requests ahead of them. */
  pending: number;
  /** Call it when one of them is. */
  finished: () => void;
}

/**
 * The connections without a request that passed the access rules. Each costs a file descriptor that
 * an upstream connection may need, so beyond `limit` the one that has been idle longest is closed.
 * A flood of idle, slow or refused connections displaces only itself: an ordinary client sends its
 * request long before its connection is the oldest.
 */
export class IdleConnections {
  readonly #limit: number;
  readonly #monotonicNow: MonotonicClock;
  /** Idle since; oldest first. */
  readonly #idle = new Map<Duplex, number>();
  readonly #responses = new WeakMap<Duplex, Responses>();

  constructor(limit: number, monotonicNow: MonotonicClock) {
    this.#limit = limit;
    this.#monotonicNow = monotonicNow;
  }

  get size(): number {
    return this.#idle.size;
  }

  /** A new connection. */
  opened(connection: Duplex): void {
    // The connection was taken out of HTTP by an upgrade and has been put back.
    if (this.#responses.has(connection)) return;
    this.#watch(connection);
    this.#wait(connection);
  }

  /** A handshake is over: requests come on `secure`, which takes the place of the connection below it. */
  secured(raw: Duplex | null, secure: Duplex): void {
    if (raw) this.#idle.delete(raw);
    this.opened(secure);
  }

  /** A request passed the access rules. @returns a function to call when its response is finished */
  busy(connection: Duplex): () => void {
    const responses = this.#responses.get(connection) ?? this.#watch(connection);
    responses.pending++;
    this.#idle.delete(connection);
    return responses.finished;
  }

  /** A request came that does not keep the connection; if nothing else does, it is idle anew. */
  renew(connection: Duplex): void {
    if (this.#idle.has(connection)) this.#wait(connection);
  }

  #watch(connection: Duplex): Responses {
    const responses: Responses = {
      pending: 0,
      finished: () => {
        responses.pending--;
        if (responses.pending === 0 && !connection.destroyed) this.#wait(connection);
      },
    };
    this.#responses.set(connection, responses);
    connection.once('close', () => this.#idle.delete(connection));
    return responses;
  }

  #wait(connection: Duplex): void {
    const monotonicNow = this.#monotonicNow();
    this.#idle.delete(connection);
    this.#idle.set(connection, monotonicNow);
    for (const [oldest, since] of this.#idle) {
      if (this.#idle.size <= this.#limit || monotonicNow - since < GRACE_MS) return;
      this.#idle.delete(oldest);
      oldest.destroy();
    }
  }
}
