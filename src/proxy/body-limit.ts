import type { IncomingMessage } from 'node:http';
import { type Readable, Transform } from 'node:stream';
import { SidecarError } from '../errors.ts';
import { hasBody } from './relay.ts';

/**
 * The request body, cut off with AUTH_BODY_TOO_LARGE when it passes `limit` bytes. A declared
 * length is judged before anything is read; only a chunked body is counted on its way.
 */
export function limitedBody(request: IncomingMessage, limit: number): Readable | null {
  if (!hasBody(request)) return null;
  const declared = request.headers['content-length'];
  if (declared !== undefined) {
    if (Number(declared) > limit) throw tooLarge(limit);
    return request;
  }
  let size = 0;
  const counter = new Transform({
    transform(chunk: Buffer, _encoding, done) {
      size += chunk.length;
      if (size > limit) done(tooLarge(limit));
      else done(null, chunk);
    },
  });
  request.once('error', (error) => counter.destroy(error));
  return request.pipe(counter);
}

function tooLarge(limit: number): SidecarError {
  return new SidecarError(
    'AUTH_BODY_TOO_LARGE',
    `the request body is larger than limits.bodyBytes (${limit})`,
  );
}
