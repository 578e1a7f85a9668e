import type { ServerResponse } from 'node:http';
import { downstreamHeaders, headText, type RawHeaders, reasonPhrase } from './headers.ts';

/**
 * Passes an interim response, such as 103, on to the client (RFC 9110, section 15.2). Node has no
 * method for that, so it is written to the connection itself, which must be at this response. A
 * client that does not read gets none: they are hints, and would pile up in memory.
 */
export function passInterim(
  response: ServerResponse,
  status: number,
  statusMessage: string | undefined,
  raw: RawHeaders,
): void {
  if (response.headersSent || response.req.httpVersion !== '1.1') return;
  const { socket } = response;
  if (!socket || socket.writableNeedDrain) return;
  const headers = downstreamHeaders(raw, status);
  socket.write(headText(status, reasonPhrase(statusMessage), headers), 'latin1');
}
