import { SidecarError } from '../base/errors.ts';
import { checkMessage, checkStreams, checkTokens } from '../clients/check-limits.ts';
import type { Client } from '../clients/client-tokens.ts';
import { mustBeSeen, mustReadSocket } from '../clients/limits.ts';
import type { InboundRequest } from '../inbound/request-context.ts';
import type { ForwardOptions } from './proxied-request.ts';
import { isInference } from './routes.ts';
import type { SocketReading } from './usage/reading.ts';
import type { TurnChange } from './usage/turn-counter.ts';

/**
 * Holds a client to its limits on a WebSocket. Its first message belongs to the upgrade, which has counted
 * as a request, but the tokens of the day may have been used up since. A client may send several
 * messages without waiting: turns that run at the same time count as streams, and behind a turn that has
 * used up the tokens none begins.
 */
export class SocketUse {
  /** null: nobody reads the turns. */
  reading: SocketReading | null = null;
  readonly #request: InboundRequest;
  readonly #path: string;
  readonly #options: Pick<ForwardOptions, 'counters' | 'now'>;
  #isFirst = true;
  /** Turns beside the one that the WebSocket itself counts for. */
  readonly #moreStreams: (() => void)[] = [];
  /** A turn has ended while others ran. */
  #hasEndedBeside = false;
  /** It was cut, or has ended; what is still read changes nothing. */
  #isOver = false;

  /** @param path in normal form */
  constructor(
    request: InboundRequest,
    path: string,
    options: Pick<ForwardOptions, 'counters' | 'now'>,
  ) {
    this.#request = request;
    this.#path = path;
    this.#options = options;
    request.exchange.whenFinished(() => {
      this.#isOver = true;
      this.#keepStreams(0);
    });
  }

  /** Says whether the next message may begin, and counts it. */
  readonly admitsMessage = (): boolean => {
    // What has come before counts.
    this.reading?.frames.flush();
    // Asked anew each time: a reload may have changed its limits.
    const { client } = this.#request;
    if (this.#isOver || (client && !this.#allows(client))) return false;
    this.#isFirst = false;
    this.reading?.turns.asked();
    this.#watchClosely();
    return true;
  };

  #allows(client: Client): boolean {
    const { counters, now } = this.#options;
    try {
      this.#checkSeen(client);
      checkMessage(client, counters, this.#isFirst, now());
    } catch (error) {
      this.#note(error);
      return false;
    }
    if (!this.#isFirst) counters.addRequest(client.name);
    return true;
  }

  /** When messages are sent ahead, it matters soon that a turn ends. */
  #watchClosely(): void {
    const { reading } = this;
    if (!reading || !mustReadSocket(this.#request.client?.limits ?? null)) return;
    reading.frames.isUrgent = reading.turns.isAskedAhead;
  }

  /** Where a limit asks for what cannot be seen, no message follows. */
  #checkSeen(client: Client): void {
    const isSeen = isInference(this.#path) || !mustBeSeen(client.limits);
    const isReadable = this.reading !== null && !this.reading.turns.isLost;
    if (isSeen && (isReadable || !mustReadSocket(client.limits))) return;
    throw new SidecarError(
      'AUTH_CLIENT_LIMIT',
      `the client token "${client.name}" has a limit, and this WebSocket cannot be read`,
    );
  }

  /** A turn has begun or ended. */
  readonly turnsChanged = (what: TurnChange): void => {
    const { client } = this.#request;
    const turns = this.reading?.turns;
    if (!client?.limits || !turns || this.#isOver) return;
    this.#watchClosely();
    const { counters, now } = this.#options;
    try {
      this.#endWhenSpent(client, what, turns.open);
      const more = Math.max(0, turns.open - 1);
      this.#keepStreams(more);
      while (this.#moreStreams.length < more) {
        checkStreams(client, counters, now());
        this.#moreStreams.push(counters.openStream(client.name));
      }
    } catch (error) {
      const reason = this.#note(error);
      this.#isOver = true;
      // Only when all that came with this is written, it is known whether a frame is half sent.
      queueMicrotask(() => this.#request.exchange.cut(reason));
    }
  };

  /** A turn that was let in is finished, whatever others of the client have used meanwhile. */
  #endWhenSpent(client: Client, what: TurnChange, open: number): void {
    const { counters, now } = this.#options;
    const isLast = what === 'ended' && open === 0;
    if (isLast || (what === 'created' && this.#hasEndedBeside))
      checkTokens(client, counters, now());
    if (what === 'ended') this.#hasEndedBeside = !isLast;
  }

  #keepStreams(count: number): void {
    for (const release of this.#moreStreams.splice(count)) release();
  }

  #note(error: unknown): SidecarError {
    if (!(error instanceof SidecarError)) throw error;
    this.#request.exchange.code = error.code;
    return error;
  }
}
