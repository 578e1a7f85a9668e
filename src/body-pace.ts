import type { IncomingMessage, ServerResponse } from 'node:http';

/** How long a body may keep its connection; milliseconds. */
export interface BodyPace {
  /** Longest time in which none of it comes although it is being read. */
  stallMs: number;
  /** Longest time in which the rest may come once the answer has been sent. */
  afterAnswerMs: number;
}

/**
 * Cuts off a client that does not get on with its body. There is no limit on the whole of it, which
 * may be large and the way slow; but a client that was refused must not be able to keep its
 * connection by sending an octet now and then.
 */
export function hurryBody(
  request: IncomingMessage,
  response: ServerResponse,
  { stallMs, afterAnswerMs }: BodyPace,
): void {
  const { 'content-length': length = '0', 'transfer-encoding': encoding } = request.headers;
  if (encoding === undefined && length === '0') return;
  const { socket } = request;
  let seen = socket.bytesRead;
  const stall = setInterval(() => {
    // Without a reader it is not the client that is slow.
    const stalled = request.readableFlowing === true && socket.bytesRead === seen;
    seen = socket.bytesRead;
    if (stalled && !request.complete) socket.destroy();
  }, stallMs);
  stall.unref();
  let late: NodeJS.Timeout | undefined;
  response.once('finish', () => {
    if (request.complete || socket.destroyed) return;
    late = setTimeout(() => socket.destroy(), afterAnswerMs);
    late.unref();
  });
  const stop = () => {
    clearInterval(stall);
    clearTimeout(late);
  };
  request.once('end', stop);
  request.once('close', stop);
}
