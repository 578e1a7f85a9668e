import type { Duplex } from 'node:stream';

/** A refusal is an error frame and a close frame; the response to a message is longer. */
const MAX_REFUSAL_BYTES = 512;
/** A message of a client is longer than this, a control frame alone is shorter. */
const MIN_CLIENT_MESSAGE_BYTES = 140;
const CLOSE_FRAME = 0x88;

/**
 * Watches the beginning of a joined WebSocket for the way in which the upstream may reject an
 * assertion after its 101: with a close frame and almost no data, although the client had sent a
 * message and did not close. Frame heads are never compressed, so this needs no decoding.
 * @param early bytes that the client sent before
 * @param closedEarly called at most once
 */
export function watchOpening(
  client: Duplex,
  upstream: Duplex,
  early: number,
  closedEarly: () => void,
): void {
  let clientBytes = early;
  let received = Buffer.alloc(0);
  const onClient = (chunk: Buffer) => {
    clientBytes += chunk.length;
    // A client that closes is answered by a close frame too.
    if (chunk[0] === CLOSE_FRAME) stop();
  };
  const onUpstream = (chunk: Buffer) => {
    received = Buffer.concat([received, chunk]);
    if (received.length > MAX_REFUSAL_BYTES) stop();
    else if (endsWithClose(received)) decide();
  };
  const decide = () => {
    stop();
    if (clientBytes > MIN_CLIENT_MESSAGE_BYTES) closedEarly();
  };
  const stop = () => {
    client.off('data', onClient).off('end', stop).off('close', stop);
    upstream.off('data', onUpstream).off('end', decide);
  };
  client.on('data', onClient).once('end', stop).once('close', stop);
  upstream.on('data', onUpstream).once('end', decide);
}

/** Whether `bytes` begin with whole server frames and then a close frame (RFC 6455, section 5.2). */
function endsWithClose(bytes: Buffer): boolean {
  let at = 0;
  while (at + 2 <= bytes.length) {
    if (bytes[at] === CLOSE_FRAME) return true;
    const short = (bytes[at + 1] ?? 0) & 0x7f;
    if (short === 127 || (short === 126 && at + 4 > bytes.length)) return false;
    at += short === 126 ? 4 + bytes.readUInt16BE(at + 2) : 2 + short;
  }
  return false;
}
