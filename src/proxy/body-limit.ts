import type { IncomingMessage } from 'node:http';
import { Readable } from 'node:stream';
import { SidecarError } from '../errors.ts';

/**
 * The request body, cut off with AUTH_BODY_TOO_LARGE when it passes `limit` bytes; null when there
 * is none. A declared length is judged before anything is read.
 */
export function limitedBody(request: IncomingMessage, limit: number): Readable | null {
  if (!hasBody(request)) return null;
  const declared = request.headers['content-length'];
  if (declared !== undefined && Number(declared) > limit) throw tooLarge(limit);
  return new RequestBody(request, limit);
}

/** Whether a request carries a body (RFC 9112, section 6.3). */
export function hasBody(request: IncomingMessage): boolean {
  const { 'content-length': length, 'transfer-encoding': encoding } = request.headers;
  return encoding !== undefined || (length !== undefined && length !== '0');
}

/**
 * The body apart from its connection: undici destroys the stream that it was given when the
 * upstream fails or answers early. What is left unread then is drained, so that the client gets its
 * answer and can send its next request on the same connection.
 */
class RequestBody extends Readable {
  readonly #request: IncomingMessage;
  readonly #limit: number;
  #size = 0;

  constructor(request: IncomingMessage, limit: number) {
    super();
    this.#request = request;
    this.#limit = limit;
    // Whoever reads learns of a failure; when nobody reads any more it must not end the process.
    this.on('error', () => undefined);
    request.on('data', this.#onData);
    request.once('end', this.#onEnd);
    request.once('error', this.#onError);
  }

  override _read(): void {
    this.#request.resume();
  }

  override _destroy(error: Error | null, done: (error?: Error | null) => void): void {
    this.#request.off('data', this.#onData);
    this.#request.off('end', this.#onEnd);
    this.#request.resume();
    done(error);
  }

  readonly #onData = (chunk: Buffer): void => {
    this.#size += chunk.length;
    if (this.#size > this.#limit) this.destroy(tooLarge(this.#limit));
    else if (!this.push(chunk)) this.#request.pause();
  };

  readonly #onEnd = (): void => {
    this.push(null);
  };

  readonly #onError = (error: Error): void => {
    this.destroy(error);
  };
}

function tooLarge(limit: number): SidecarError {
  return new SidecarError(
    'AUTH_BODY_TOO_LARGE',
    `the request body is larger than limits.bodyBytes (${limit})`,
  );
}
