import { connect, type Socket } from 'node:net';

/** All connections read into one buffer: a chunk is used up before the next one is read. */
const BUFFER = Buffer.allocUnsafe(256 * 1024);

/** A raw connection; `onBytes` must not keep what it is given. */
export function open(
  port: number,
  onOpen: (socket: Socket) => void,
  onBytes: (bytes: Buffer, socket: Socket) => void,
  onFailure: (error: Error) => void,
): Socket {
  let closing = false;
  const socket: Socket = connect({
    port,
    host: '127.0.0.1',
    noDelay: true,
    onread: {
      buffer: BUFFER,
      callback: (count) => {
        try {
          onBytes(BUFFER.subarray(0, count), socket);
        } catch (error) {
          closing = true;
          socket.destroy();
          onFailure(error as Error);
        }
        return true;
      },
    },
  });
  socket.once('connect', () => onOpen(socket));
  socket.once('error', onFailure);
  socket.once('end', () => {
    if (!closing) onFailure(new Error('the connection was closed'));
  });
  return socket;
}
