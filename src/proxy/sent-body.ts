import { EventEmitter } from 'node:events';

/**
 * A body as undici sends it. It is what undici needs of a stream, but its end comes in the same turn
 * as its last bytes, where that is possible. Undici takes a response that is complete before the end
 * of the body for an early one and closes the connection; the end of a `Readable` or of an iterable
 * comes only when the last bytes have left the socket, which over TLS is often after the response.
 */
export abstract class SentBody extends EventEmitter {
  destroyed = false;
  /** Undici has begun to send. */
  #isWanted = false;
  #isPaused = true;

  constructor() {
    super();
    // Undici learns of a failure; when it does not listen any more, it must not end the process.
    this.on('error', () => undefined);
  }

  /** Whether the bytes that were sent last still wait in the socket. */
  protected get isPaused(): boolean {
    return this.#isPaused;
  }

  /** Called once, when undici is ready to send. */
  protected abstract begin(): void;

  /** Called when all that was sent has left the socket. */
  protected drained(): void {}

  /** Called when nothing more is sent. */
  protected ended(): void {}

  protected send(chunk: Buffer): void {
    this.emit('data', chunk);
  }

  /** Undici's sign of a stream. */
  pipe(): never {
    throw new Error('a body goes to undici alone');
  }

  pause(): void {
    this.#isPaused = true;
  }

  resume(): void {
    this.#isPaused = false;
    if (this.#isWanted) {
      this.drained();
      return;
    }
    this.#isWanted = true;
    // Not at once: undici is still adding its listeners.
    queueMicrotask(() => {
      if (!this.destroyed) this.begin();
    });
  }

  destroy(error?: Error | null): void {
    if (this.destroyed) return;
    this.destroyed = true;
    this.ended();
    process.nextTick(() => {
      if (error) this.emit('error', error);
      this.emit('close');
    });
  }
}
