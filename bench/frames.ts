import { createHash } from 'node:crypto';
import { constants, deflateRawSync } from 'node:zlib';
import { TURN_EVENTS } from './protocol.ts';

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

/** Events of a turn as one sender compresses them: each with the window of those before (RFC 7692). */
export function deflatedTurn(): Buffer[] {
  let window = Buffer.alloc(0);
  return Array.from({ length: TURN_EVENTS }, (_, i) => {
    const event = Buffer.from(EVENT.replace(' word', ` w${(i * 7919) % 1000}`));
    // A turn begins without a window, so that it can follow any other.
    const dictionary = window.length > 0 ? { dictionary: window } : {};
    const options = { finishFlush: constants.Z_SYNC_FLUSH, ...dictionary };
    const payload = deflateRawSync(event, options).subarray(0, -4);
    window = Buffer.concat([window, event]).subarray(-32_768);
    return Buffer.concat([Buffer.from([0xc1, payload.length]), payload]);
  });
}

export const EVENT_FRAME_BYTES = eventFrame().length;
