import { type IncomingMessage, METHODS, type Server } from 'node:http';
import type { Duplex } from 'node:stream';
import type { FastifyInstance } from 'fastify';
import { SidecarError } from '../base/errors.ts';
import { closeGently } from '../inbound/lingering-close.ts';
import type { PendingResponses } from '../inbound/pending-responses.ts';
import { rawResponse } from '../inbound/raw-response.ts';
import type { ExchangeLog } from '../telemetry/exchange-record.ts';

// CONNECT asks for a tunnel to anywhere, an upstream that answers TRACE would show the client the
// credential (RFC 9110, section 9.3.8), and SOURCE belongs to ICE, a protocol that Node's parser
// takes for HTTP.
const REFUSED = new Set(['CONNECT', 'TRACE', 'SOURCE']);

/** Every other method that Node's parser knows. */
export const PROXIED_METHODS = METHODS.filter((method) => !REFUSED.has(method));

/**
 * Lets Fastify route them all, and leave their bodies and content types alone, on the sidecar's own
 * endpoints too: it would read texts into memory, and refuse a content type that it cannot parse, or
 * a QUERY without one.
 */
export function allowMethods(app: FastifyInstance): void {
  for (const method of PROXIED_METHODS) app.addHttpMethod(method, { overrideExisting: true });
}

/** Answers CONNECT, which Node would answer by hanging up. */
export function refuseConnect(
  server: Server,
  pendingResponses: PendingResponses,
  exchangeLog: ExchangeLog,
): void {
  server.on('connect', ({ method }: IncomingMessage, socket: Duplex) => {
    socket.on('error', () => socket.destroy());
    if (pendingResponses.first(socket)) {
      // Sent ahead of a response that is not finished.
      socket.destroy();
      return;
    }
    const refusal = new SidecarError(
      'AUTH_ROUTE_DENIED',
      'CONNECT is not served: use the address as a base URL, not as a proxy',
    );
    socket.write(rawResponse(refusal));
    closeGently(socket);
    exchangeLog.refused(method ?? null, refusal);
  });
}
