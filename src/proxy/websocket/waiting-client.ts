import type { ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import { headText } from '../headers.ts';
import { watchOpening } from './early-close.ts';
import type { Tunnel } from './tunnel.ts';

/** Bytes that a client may send before the response to its upgrade. It should send none. */
const EARLY_BYTES = 64 * 1024;

/** Joins a client, with what it has sent before, to its upstream. */
export type OpenTunnel = (client: Duplex, early: readonly Buffer[]) => Tunnel;

/** The client of an upgrade, until it is refused or joined to the upstream. */
export class WaitingClient {
  readonly #socket: Duplex;
  readonly #early: Buffer[];
  #size: number;
  #joined = false;
  #readBefore = 0;
  #writtenBefore = 0;

  /** @param head what the client sent right behind its request */
  constructor(socket: Duplex, head: Buffer) {
    this.#socket = socket;
    this.#early = head.length > 0 ? [head] : [];
    this.#size = head.length;
  }

  /**
   * From now on what the client sends is kept, and its response is closed when it hangs up; nobody
   * would notice on a socket that nobody reads.
   */
  hold(): void {
    this.#socket.on('data', this.#onData);
    this.#socket.on('end', this.#onEnd);
  }

  /** Unless it was joined, what the client sends is dropped; a hang-up is still noticed. */
  release(): void {
    if (this.#joined) return;
    this.#socket.off('data', this.#onData);
    this.#early.length = 0;
    this.#socket.resume();
  }

  /**
   * Sends the 101 and joins the two connections.
   * @param closedEarly see {@link watchOpening}
   */
  join(
    response: ServerResponse,
    headers: string[],
    upstream: Duplex,
    open: OpenTunnel,
    closedEarly: () => void,
  ): Tunnel {
    this.#joined = true;
    // An HTTP server hands out no other duplex; its counters cost nothing.
    const client = this.#socket as Socket;
    client.off('data', this.#onData);
    client.off('end', this.#onEnd);
    client.pause();
    response.detachSocket(client);
    client.write(headText(101, 'Switching Protocols', headers), 'latin1');
    this.#readBefore = client.bytesRead - this.#size;
    this.#writtenBefore = client.bytesWritten;
    watchOpening(client, upstream, this.#size, closedEarly);
    return open(client, this.#early);
  }

  /** Bytes that came from the client, and went to it, since it was joined. */
  get passed(): { up: number; down: number } {
    const { bytesRead, bytesWritten } = this.#socket as Socket;
    return { up: bytesRead - this.#readBefore, down: bytesWritten - this.#writtenBefore };
  }

  readonly #onData = (chunk: Buffer): void => {
    this.#early.push(chunk);
    this.#size += chunk.length;
    if (this.#size > EARLY_BYTES) this.#socket.destroy();
  };

  readonly #onEnd = (): void => {
    this.#socket.destroy();
  };
}
