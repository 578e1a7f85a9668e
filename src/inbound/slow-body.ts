import type { IncomingMessage, ServerResponse } from 'node:http';
import { OpenList, type Place } from '../base/open-list.ts';
import { hasBody } from './has-body.ts';

/** How long a body may keep its connection; milliseconds. */
export interface BodyPace {
  /**
   * Time in which some of a body must come while it is being read. One timer checks all bodies twice
   * in that time, so a stalled body is cut after 1 to 1.5 times `stallMs`.
   */
  stallMs: number;
  /** Longest time in which the rest may come once the response has been sent. */
  afterResponseMs: number;
}

interface Progress {
  readonly request: IncomingMessage;
  /** Octets that had come on the connection at the last check. */
  octets: number;
  /** Checks in a row that saw no new octet; -1 until the first check. */
  idleChecks: number;
}

/**
 * Cuts off clients that stop sending their bodies. The whole body may take as long as it needs,
 * because it may be large and the network slow; but a client that was refused must not be able to
 * keep its connection by sending an octet now and then.
 */
export class SlowBodies {
  readonly #pace: BodyPace;
  readonly #progress = new OpenList<Progress>();
  #timer: NodeJS.Timeout | null = null;

  constructor(pace: BodyPace) {
    this.#pace = pace;
  }

  add(request: IncomingMessage, response: ServerResponse): void {
    if (!hasBody(request)) return;
    this.#timer ??= setInterval(this.#check, this.#pace.stallMs / 2).unref();
    const octets = request.socket.bytesRead;
    const place = this.#progress.add({ request, octets, idleChecks: -1 });
    response.on('close', () => this.#answered(place));
  }

  readonly #check = (): void => {
    for (const progress of this.#progress.items()) {
      const { request } = progress;
      const { bytesRead } = request.socket;
      // While nobody reads the body, it is not the client that is slow.
      if (request.readableFlowing !== true) progress.idleChecks = -1;
      else if (bytesRead === progress.octets) progress.idleChecks++;
      else progress.idleChecks = 0;
      progress.octets = bytesRead;
      if (progress.idleChecks === 2 && !request.complete) request.socket.destroy();
    }
  };

  #answered(place: Place<Progress>): void {
    this.#progress.remove(place);
    const { request } = place.item;
    const { socket } = request;
    if (request.complete || socket.destroyed) return;
    const late = setTimeout(() => socket.destroy(), this.#pace.afterResponseMs).unref();
    const ended = () => {
      clearTimeout(late);
      request.off('close', ended);
      socket.off('close', ended);
    };
    request.once('close', ended);
    // After the response Node no longer tells the request when its client hangs up.
    socket.once('close', ended);
  }
}
