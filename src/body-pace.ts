import type { IncomingMessage, ServerResponse } from 'node:http';

/** How long a body may keep its connection; milliseconds. */
export interface BodyPace {
  /**
   * Time in which some of it must come while it is being read. One timer looks at all bodies, so a
   * stalled one ends after the second look at the latest.
   */
  stallMs: number;
  /** Longest time in which the rest may come once the answer has been sent. */
  afterAnswerMs: number;
}

/**
 * Cuts off clients that do not get on with their bodies. There is no limit on the whole of one,
 * which may be large and the way slow; but a client that was refused must not be able to keep its
 * connection by sending an octet now and then.
 */
export class BodyWatch {
  readonly #pace: BodyPace;
  /** Octets that had come on the connection at the last look; null before the first one. */
  readonly #seen = new Map<IncomingMessage, number | null>();
  #timer: NodeJS.Timeout | null = null;

  constructor(pace: BodyPace) {
    this.#pace = pace;
  }

  add(request: IncomingMessage, response: ServerResponse): void {
    const { 'content-length': length = '0', 'transfer-encoding': encoding } = request.headers;
    if (encoding === undefined && length === '0') return;
    this.#timer ??= setInterval(this.#look, this.#pace.stallMs).unref();
    this.#seen.set(request, null);
    response.on('close', () => this.#answered(request));
  }

  readonly #look = (): void => {
    for (const [request, before] of this.#seen) {
      const { bytesRead } = request.socket;
      this.#seen.set(request, bytesRead);
      // Without a reader it is not the client that is slow.
      const stalled = request.readableFlowing === true && bytesRead === before;
      if (stalled && !request.complete) request.socket.destroy();
    }
  };

  #answered(request: IncomingMessage): void {
    this.#seen.delete(request);
    const { socket } = request;
    if (request.complete || socket.destroyed) return;
    const late = setTimeout(() => socket.destroy(), this.#pace.afterAnswerMs).unref();
    const over = () => {
      clearTimeout(late);
      request.off('close', over);
      socket.off('close', over);
    };
    request.once('close', over);
    // After the answer Node no longer tells the request of a client that hangs up.
    socket.once('close', over);
  }
}
