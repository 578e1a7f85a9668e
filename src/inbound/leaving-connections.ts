import type { IncomingMessage, Server, ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
import { connectionEvent } from './tls.ts';

/**
 * How long a connection that was idle when the shutdown began may still bring a request; milliseconds.
 * Whoever sent one did not know better, and would lose it with the connection.
 */
const GRACE_MS = 1_000;

/**
 * Connections during a shutdown. One that was open before is served once more and told to close, so that its
 * client connects elsewhere without losing a request. A new one is refused, or the shutdown had no end.
 */
export class LeavingConnections {
  readonly #open = new Set<Socket>();
  /** Those that were open when the shutdown began; null before that. */
  #leaving: Set<Socket> | null = null;
  #gone: (() => void) | null = null;

  watch(server: Server): void {
    server.on(connectionEvent(server), (socket: Socket) => {
      if (this.#open.has(socket)) return;
      this.#open.add(socket);
      socket.once('close', () => {
        this.#open.delete(socket);
        this.#left(socket);
      });
    });
  }

  /** The shutdown begins. */
  leave(): void {
    this.#leaving = new Set(this.#open);
  }

  /** Whether a request is served; during a shutdown its connection then ends with the response. */
  serves({ socket }: IncomingMessage, response: ServerResponse): boolean {
    if (this.#leaving === null) return true;
    if (!this.#leaving.has(socket)) return false;
    response.shouldKeepAlive = false;
    return true;
  }

  /** Resolves when the connections of before are gone, or have had their time. */
  async allLeft(): Promise<void> {
    if (!this.#leaving || this.#leaving.size === 0) return;
    await new Promise<void>((resolve) => {
      const timer = setTimeout(resolve, GRACE_MS);
      this.#gone = () => {
        clearTimeout(timer);
        resolve();
      };
    });
  }

  #left(socket: Socket): void {
    this.#leaving?.delete(socket);
    if (this.#leaving?.size === 0) this.#gone?.();
  }
}
