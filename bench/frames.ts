import { createHash } from 'node:crypto';

// RFC 6455, section 1.3.
const KEY_SUFFIX = '258EAFA5-E914-47DA-95CA-C5AB0DC85B11';

/** Value of `sec-websocket-accept`. */
export function acceptKey(key: string): string {
  return createHash('sha1')
    .update(key + KEY_SUFFIX)
    .digest('base64');
}

const EVENT =
  '{"type":"response.output_text.delta","item_id":"msg_1","output_index":0,"delta":" word"}';

/** One small server event as an unmasked text frame. */
export function eventFrame(): Buffer {
  const payload = Buffer.from(EVENT);
  return Buffer.concat([Buffer.from([0x81, payload.length]), payload]);
}

export const EVENT_FRAME_BYTES = eventFrame().length;
