import type { Socket } from 'node:net';
import type { buildConnector } from 'undici';
import type { MonotonicClock } from '../base/clock.ts';
import type { Schedule } from '../base/schedule.ts';

type Connect = buildConnector.connector;
type Target = buildConnector.Options;

export interface ReadyOptions {
  /** Upstreams that have ready connections. */
  origins: readonly string[];
  /** How many stand ready for each. */
  count: number;
  /** For how long after the last request; milliseconds. */
  forMs: number;
}

/** A connection that was closed sooner than this was not wanted; milliseconds. */
const SHORT_LIFE_MS = 10_000;
/** Between two connections that were not wanted; doubled each time. */
const PAUSE_MS = { least: 1_000, most: 60_000 };

/**
 * Connections that are made before anybody needs them, so that a request or an upgrade pays for name,
 * TCP and TLS only when it is the first for a long time. Each that is taken or closed is replaced for
 * as long as there are requests; when there are none any more, they are closed.
 */
export class ReadyConnections {
  readonly #dial: Connect;
  readonly #stocks: Map<string, Stock>;

  constructor(
    dial: Connect,
    options: ReadyOptions,
    monotonicNow: MonotonicClock,
    schedule: Schedule,
  ) {
    this.#dial = dial;
    const origins = options.origins.filter((origin) => origin.startsWith('https:'));
    this.#stocks = new Map(
      origins.map((origin) => [origin, new Stock(dial, options, monotonicNow, schedule)]),
    );
  }

  /** A request is about to go to `origin`. */
  used(origin: string): void {
    this.#stocks.get(origin)?.used();
  }

  /** Hands out a ready connection, or a new one. */
  readonly connect: Connect = (target, done) => {
    const stock = this.#stocks.get(`${target.protocol}//${target.host}`);
    const ready = stock?.take(target);
    if (!ready) {
      this.#dial(target, (...result) => {
        done(...result);
        if (result[1]) stock?.fill(target);
      });
      return;
    }
    // What has arrived in the meantime is read first: it may be the end of the connection.
    setImmediate(() => {
      if (!isUsable(ready)) {
        ready.destroy();
        this.connect(target, done);
        return;
      }
      ready.ref();
      done(null, ready);
      stock?.fill(target);
    });
  };

  close(): void {
    for (const stock of this.#stocks.values()) stock.close();
  }
}

/** The ready connections to one upstream. */
class Stock {
  readonly #dial: Connect;
  readonly #count: number;
  readonly #forMs: number;
  readonly #monotonicNow: MonotonicClock;
  readonly #schedule: Schedule;
  /** With the function that takes note of its end. */
  readonly #ready = new Map<Socket, () => void>();
  #target: Target | null = null;
  #dialling = 0;
  #usedAt = 0;
  #pauseMs = 0;
  #isPausing = false;
  #isClosed = false;
  #cancelExpiry: (() => void) | null = null;

  constructor(
    dial: Connect,
    options: ReadyOptions,
    monotonicNow: MonotonicClock,
    schedule: Schedule,
  ) {
    this.#dial = dial;
    this.#count = options.count;
    this.#forMs = options.forMs;
    this.#monotonicNow = monotonicNow;
    this.#schedule = schedule;
  }

  used(): void {
    this.#usedAt = this.#monotonicNow();
    this.#dialMissing();
  }

  /** @returns null when none stands ready */
  take({ servername }: Target): Socket | null {
    // The certificate was checked for this name.
    if (servername !== this.#target?.servername) return null;
    for (const [socket, onClose] of this.#ready) {
      this.#ready.delete(socket);
      socket.off('close', onClose);
      if (isUsable(socket)) return socket;
      socket.destroy();
    }
    return null;
  }

  /** @param target as the last connection was dialled, which worked */
  fill(target: Target): void {
    this.#target = target;
    this.#dialMissing();
  }

  close(): void {
    this.#isClosed = true;
    this.#cancelExpiry?.();
    for (const socket of this.#ready.keys()) socket.destroy();
  }

  #dialMissing(): void {
    const target = this.#target;
    if (!target || this.#isPausing || this.#isClosed || this.#idleMs >= this.#forMs) return;
    while (this.#ready.size + this.#dialling < this.#count) {
      this.#dialling++;
      this.#dial(target, (_error, socket) => {
        this.#dialling--;
        if (socket) this.#add(socket);
        else this.#pause();
      });
    }
  }

  get #idleMs(): number {
    return this.#monotonicNow() - this.#usedAt;
  }

  #add(socket: Socket): void {
    if (this.#isClosed) {
      socket.destroy();
      return;
    }
    const since = this.#monotonicNow();
    const onClose = () => {
      this.#ready.delete(socket);
      if (this.#monotonicNow() - since < SHORT_LIFE_MS) this.#pause();
      else this.#pauseMs = 0;
      this.#dialMissing();
    };
    socket.unref();
    socket.once('close', onClose);
    this.#ready.set(socket, onClose);
    this.#cancelExpiry ??= this.#schedule(this.#forMs, this.#expire);
  }

  #pause(): void {
    if (this.#isPausing) return;
    this.#isPausing = true;
    this.#pauseMs = Math.min(Math.max(2 * this.#pauseMs, PAUSE_MS.least), PAUSE_MS.most);
    this.#schedule(this.#pauseMs, () => {
      this.#isPausing = false;
      this.#dialMissing();
    });
  }

  readonly #expire = (): void => {
    const left = this.#forMs - this.#idleMs;
    this.#cancelExpiry = left > 0 ? this.#schedule(left, this.#expire) : null;
    if (left > 0) return;
    for (const socket of this.#ready.keys()) socket.destroy();
  };
}

function isUsable(socket: Socket): boolean {
  // Nobody speaks before a request; what was read would be taken for its response.
  return !socket.destroyed && socket.writable && socket.readable && socket.readableLength === 0;
}
