import type { Socket } from 'node:net';

/**
 * How long a response may still come after a write has failed; milliseconds. It is on its way
 * already, or there is none.
 */
const READ_ON_MS = 2_000;

const BROKEN = new Set(['EPIPE', 'ECONNRESET']);

type Done = (error?: Error | null) => void;
type Writer = { _write: Socket['_write']; _writev: Socket['_writev'] };

/**
 * Lets a connection be read to its end after a write to it has failed. A server that refuses a
 * request by its head closes without reading the body; the refusal lies in our socket while the next
 * write fails, and Node would throw both away (RFC 9112, section 9.5). From the first such failure on
 * what is written is dropped, and the reading side says what became of the exchange: a response, or
 * the same failure.
 */
export function readFirst(socket: Socket): void {
  const { _write: write, _writev: writev } = socket as Writer;
  let broken = false;
  const forgiving = (done: Done): Done => {
    return (error) => {
      if (!error || !BROKEN.has((error as NodeJS.ErrnoException).code ?? '')) {
        done(error);
        return;
      }
      if (!broken) {
        broken = true;
        const limit = setTimeout(() => socket.destroy(error), READ_ON_MS);
        socket.once('close', () => clearTimeout(limit));
      }
      done();
    };
  };
  Object.assign(socket, {
    _write(chunk: Buffer, encoding: BufferEncoding, done: Done) {
      if (broken) done();
      else write.call(socket, chunk, encoding, forgiving(done));
    },
    ...(writev && {
      _writev(chunks: Parameters<NonNullable<Writer['_writev']>>[0], done: Done) {
        if (broken) done();
        else writev.call(socket, chunks, forgiving(done));
      },
    }),
  });
}
