import type { IncomingMessage, ServerResponse } from 'node:http';
import { hasBody } from './has-body.ts';

/** How long a body may keep its connection; milliseconds. */
export interface BodyPace {
  /**
   * Time in which some of it must come while it is being read. One timer looks at all bodies twice
   * in that time, so a stalled one ends after one to one and a half of it.
   */
  stallMs: number;
  /** Longest time in which the rest may come once the answer has been sent. */
  afterResponseMs: number;
}

interface Progress {
  /** Octets that had come on the connection at the last look. */
  octets: number;
  /** That found nothing new, after the one from which on it counts; -1: that one is to come. */
  looks: number;
}

/**
 * Cuts off clients that do not get on with their bodies. There is no limit on the whole of one,
 * which may be large and the way slow; but a client that was refused must not be able to keep its
 * connection by sending an octet now and then.
 */
export class BodyWatch {
  readonly #pace: BodyPace;
  readonly #seen = new Map<IncomingMessage, Progress>();
  #timer: NodeJS.Timeout | null = null;

  constructor(pace: BodyPace) {
    this.#pace = pace;
  }

  add(request: IncomingMessage, response: ServerResponse): void {
    if (!hasBody(request)) return;
    this.#timer ??= setInterval(this.#look, this.#pace.stallMs / 2).unref();
    this.#seen.set(request, { octets: request.socket.bytesRead, looks: -1 });
    response.on('close', () => this.#answered(request));
  }

  readonly #look = (): void => {
    for (const [request, progress] of this.#seen) {
      const { bytesRead } = request.socket;
      // Without a reader it is not the client that is slow.
      if (request.readableFlowing !== true) progress.looks = -1;
      else if (bytesRead === progress.octets) progress.looks++;
      else progress.looks = 0;
      progress.octets = bytesRead;
      if (progress.looks === 2 && !request.complete) request.socket.destroy();
    }
  };

  #answered(request: IncomingMessage): void {
    this.#seen.delete(request);
    const { socket } = request;
    if (request.complete || socket.destroyed) return;
    const late = setTimeout(() => socket.destroy(), this.#pace.afterResponseMs).unref();
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
