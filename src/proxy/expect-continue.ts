import type { IncomingMessage, ServerResponse } from 'node:http';
import type { FastifyInstance } from 'fastify';

const NOTHING = () => undefined;

/**
 * Takes the answer to `Expect` (RFC 9110, section 10.1.1) out of Node's hands, which says 100 before
 * any check has been made. Other expectations are refused as malformed before this.
 */
export function routeExpectations(app: FastifyInstance): void {
  app.server.on('checkContinue', app.routing);
}

/**
 * What tells a waiting client to send its body, to be called when the upstream is there to take it.
 * The upstream is not asked: undici cannot send the expectation on.
 */
export function continuation(
  { headers, httpVersion }: IncomingMessage,
  response: ServerResponse,
): () => void {
  if (headers.expect === undefined || httpVersion !== '1.1') return NOTHING;
  return () => response.writeContinue();
}
