import { STATUS_CODES } from 'node:http';
import { errorBody, type SidecarError } from '../base/errors.ts';

/** A whole response for a connection that Node has taken out of HTTP; it ends the connection. */
export function rawResponse(error: SidecarError): string {
  const body = JSON.stringify(errorBody(error));
  const headers = {
    'content-type': 'application/json; charset=utf-8',
    'content-length': Buffer.byteLength(body),
    ...error.headers,
    connection: 'close',
  };
  return [
    `HTTP/1.1 ${error.statusCode} ${STATUS_CODES[error.statusCode]}`,
    ...Object.entries(headers).map(([name, value]) => `${name}: ${value}`),
    '',
    body,
  ].join('\r\n');
}
