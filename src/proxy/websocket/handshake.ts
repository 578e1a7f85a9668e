import type { IncomingMessage } from 'node:http';
import { SidecarError } from '../../base/errors.ts';
import { hasBody } from '../../inbound/has-body.ts';

/**
 * Whether a request asks for a WebSocket (RFC 6455, section 4.1). HTTP/1.0 has no upgrades (RFC 9110,
 * section 7.8).
 */
export function isWebSocketHandshake(request: IncomingMessage): boolean {
  const isWebSocket = request.headers.upgrade?.toLowerCase() === 'websocket';
  const { method, httpVersion } = request;
  return isWebSocket && method === 'GET' && httpVersion === '1.1' && !hasBody(request);
}

/**
 * Checks the rest of the handshake, before a credential goes out with it (RFC 6455, section 4.2.1).
 * @throws SidecarError AUTH_REQUEST_INVALID
 */
export function checkHandshake({ headers }: IncomingMessage): void {
  const { connection = '', 'sec-websocket-key': key = '' } = headers;
  const isComplete =
    headers['sec-websocket-version'] === '13' &&
    /^[A-Za-z0-9+/]{22}==$/.test(key) &&
    // A header that `connection` lists would be removed on the way.
    !/sec-websocket/i.test(connection);
  if (isComplete) return;
  throw new SidecarError(
    'AUTH_REQUEST_INVALID',
    'not a valid WebSocket handshake (version 13, 16-byte key)',
  );
}
