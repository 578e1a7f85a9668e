import type { IncomingMessage, ServerResponse } from 'node:http';
import type { FastifyInstance } from 'fastify';

const NOTHING = () => undefined;

/**
 * Takes the response to `Expect: 100-continue` (RFC 9110, section 10.1.1) out of Node's hands, which
 * sends 100 before any check. Other expectations have already been refused as malformed.
 */
export function routeExpectations(app: FastifyInstance): void {
  app.server.on('checkContinue', app.routing);
}

/**
 * Returns what tells a waiting client to send its body; call it when the upstream can take the body.
 * The upstream itself is not asked: undici cannot send `Expect`.
 */
export function continuation(
  { headers, httpVersion }: IncomingMessage,
  response: ServerResponse,
): () => void {
  if (headers.expect === undefined || httpVersion !== '1.1') return NOTHING;
  return () => response.writeContinue();
}
