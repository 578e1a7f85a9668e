import type { IncomingMessage } from 'node:http';

/** Whether a request carries a body (RFC 9112, section 6.3). */
export function hasBody(request: IncomingMessage): boolean {
  const { 'content-length': length, 'transfer-encoding': encoding } = request.headers;
  return encoding !== undefined || (length !== undefined && length !== '0');
}
