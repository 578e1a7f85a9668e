import type { IncomingMessage, Server, ServerResponse } from 'node:http';
import type { FastifyInstance } from 'fastify';
import { SidecarError } from '../errors.ts';

/** As Node reads it. */
const CONTINUE = /(?:^|\W)100-continue(?:$|\W)/i;

/**
 * Takes the answer to `Expect` (RFC 9110, section 10.1.1) out of Node's hands, which says 100 before
 * any check has been made, and refuses other expectations with an empty 417.
 */
export function routeExpectations(app: FastifyInstance): void {
  const server = app.server as Server;
  server.on('checkContinue', app.routing);
  server.on('checkExpectation', app.routing);
  app.addHook('onRequest', (request, _reply, done) => {
    const { expect } = request.headers;
    if (expect === undefined || CONTINUE.test(expect)) done();
    else done(new SidecarError('AUTH_REQUEST_INVALID', 'no expectation but 100-continue is met'));
  });
}

/**
 * What tells a waiting client to send its body, to be called when the upstream is there to take it.
 * The upstream is not asked: undici cannot send the expectation on.
 */
export function continuation(
  { headers, httpVersion }: IncomingMessage,
  response: ServerResponse,
): () => void {
  const expected = httpVersion === '1.1' && CONTINUE.test(headers.expect ?? '');
  return expected ? () => response.writeContinue() : () => undefined;
}
