import type { ServerResponse } from 'node:http';
import { downstreamHeaders, headText, type RawHeaders, reasonPhrase } from './headers.ts';

/**
 * An interim answer, such as 103, goes on (RFC 9110, section 15.2). Node has no way to write any of
 * them but on the connection itself, and it must be this response's turn there.
 */
export function passInterim(
  response: ServerResponse,
  status: number,
  statusMessage: string | undefined,
  raw: RawHeaders,
): void {
  if (response.headersSent || response.req.httpVersion !== '1.1') return;
  const headers = downstreamHeaders(raw, status);
  response.socket?.write(headText(status, reasonPhrase(statusMessage), headers), 'latin1');
}
