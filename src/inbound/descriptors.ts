import type { Server, Socket } from 'node:net';
import type { MonotonicClock } from '../base/clock.ts';
import { isOutOfDescriptors } from '../base/errors.ts';
import type { Logger } from '../base/logger.ts';

/** Part of the limit from which on the log warns. */
const NEARLY_ALL = 0.9;
/** One line says it; a thousand would fill the disk. */
const QUIET_MS = 60_000;

/**
 * Says in the log that file descriptors run out. Node.js closes a connection that it has none for
 * without telling anybody, so the warning comes before the last.
 */
export class DescriptorWatch {
  readonly #limit: number;
  readonly #monotonicNow: MonotonicClock;
  readonly #log: Pick<Logger, 'error'>;
  #lastLine = Number.NEGATIVE_INFINITY;

  /** @param limit of this process; null where it is not known */
  constructor(limit: number | null, monotonicNow: MonotonicClock, log: Pick<Logger, 'error'>) {
    this.#limit = limit ?? Number.POSITIVE_INFINITY;
    this.#monotonicNow = monotonicNow;
    this.#log = log;
  }

  /** Looks at each new connection: a system gives it the lowest number that is free. */
  watch(server: Server): void {
    server.on('connection', (socket: Socket) => {
      const descriptor = descriptorOf(socket);
      if (descriptor >= NEARLY_ALL * this.#limit) this.#say({ descriptor, limit: this.#limit });
    });
  }

  /** Looks at why a request failed. */
  failed(error: unknown): void {
    if (isOutOfDescriptors(error)) this.#say({ err: error });
  }

  #say(details: object): void {
    const at = this.#monotonicNow();
    if (at - this.#lastLine < QUIET_MS) return;
    this.#lastLine = at;
    this.#log.error(
      details,
      'file descriptors run out, and new connections fail; raise the limit (ulimit -n, LimitNOFILE=)',
    );
  }
}

/** -1 where Node.js does not know it. */
function descriptorOf(socket: Socket): number {
  // Its types leave the handle out.
  const { _handle: handle } = socket as { _handle?: { fd?: unknown } | null };
  return typeof handle?.fd === 'number' ? handle.fd : -1;
}
