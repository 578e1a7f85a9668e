import type { Socket } from 'node:net';
import { sharedMethods } from './shared-methods.ts';

/**
 * How long a response may still come after a write has failed; milliseconds. It is on its way
 * already, or there is none.
 */
const READ_ON_MS = 2_000;

const BROKEN = new Set(['EPIPE', 'ECONNRESET']);

type Done = (error?: Error | null) => void;
type Chunks = Parameters<NonNullable<Socket['_writev']>>[0];
type ReadingFirst = Socket & { [WRITES]: Writes };

const WRITES = Symbol('writes to a connection that is read first');

/**
 * Lets a connection be read to its end after a write to it has failed. A server that refuses a
 * request by its head closes without reading the body; the refusal lies in our socket while the next
 * write fails, and Node would throw both away (RFC 9112, section 9.5). From the first such failure on
 * what is written is dropped, and the reading side says what became of the exchange: a response, or
 * the same failure.
 */
export function readFirst(socket: Socket): void {
  Object.assign(socket, forgiving(socket), { [WRITES]: new Writes(socket) });
}

const forgiving = sharedMethods(({ _write: write, _writev: writev }) => ({
  _write(this: ReadingFirst, chunk: Buffer, encoding: BufferEncoding, done: Done) {
    const writes = this[WRITES];
    if (writes.areBroken) done();
    else write.call(this, chunk, encoding, writes.ended(done));
  },
  ...(writev && {
    _writev(this: ReadingFirst, chunks: Chunks, done: Done) {
      const writes = this[WRITES];
      if (writes.areBroken) done();
      else writev.call(this, chunks, writes.ended(done));
    },
  }),
}));

class Writes {
  areBroken = false;
  readonly #socket: Socket;
  /** What a stream passes with every write is one and the same function. */
  #done: Done = () => undefined;

  constructor(socket: Socket) {
    this.#socket = socket;
  }

  /** @returns what to call at the end of a write, in place of `done` */
  ended(done: Done): Done {
    this.#done = done;
    return this.#ended;
  }

  readonly #ended: Done = (error) => {
    if (!error || !BROKEN.has((error as NodeJS.ErrnoException).code ?? '')) {
      this.#done(error);
      return;
    }
    if (!this.areBroken) {
      this.areBroken = true;
      const socket = this.#socket;
      const limit = setTimeout(() => socket.destroy(error), READ_ON_MS);
      socket.once('close', () => clearTimeout(limit));
    }
    this.#done();
  };
}
