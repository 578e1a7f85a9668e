import type { Socket } from 'node:net';
import type { TLSSocket } from 'node:tls';
import type { FastifyInstance } from 'fastify';
import { monotonicClock } from '../base/clock.ts';
import { SidecarError } from '../base/errors.ts';
import { MAX_HEADER_BYTES } from '../base/header-text.ts';
import { IdleConnections } from './idle-connections.ts';
import type { PendingResponses } from './pending-responses.ts';
import type { ArrivalStep, InboundRequest } from './request-context.ts';
import { SlowBodies } from './slow-body.ts';
import { rawConnection } from './tls.ts';
import { checkWellFormed } from './well-formed.ts';

const HEADERS_TIMEOUT_MS = 30_000;

/** Options of Node's HTTP server. */
export const HTTP_OPTIONS = {
  maxHeaderSize: MAX_HEADER_BYTES,
  // Also runs from the start of the connection, so it covers a client that never sends anything.
  headersTimeout: HEADERS_TIMEOUT_MS,
  connectionsCheckingInterval: 5_000,
  // The access rules refuse a missing Host, with a response of ours.
  requireHostHeader: false,
};

/** Codex never sends ahead; each request that is sent ahead holds a connection to the upstream. */
const MAX_PENDING_RESPONSES = 32;
const MAX_IDLE_CONNECTIONS = 1_000;
const BODY_PACE = { stallMs: 120_000, afterResponseMs: 30_000 };

/** Limits what a client may send, and how slowly. @returns the step that comes before access */
export function limitRequests(
  app: FastifyInstance,
  pendingResponses: PendingResponses,
): ArrivalStep {
  // Otherwise Node itself answers an unknown `Expect`.
  app.server.on('checkExpectation', app.routing);
  const bodies = new SlowBodies(BODY_PACE);
  return (request, reply) => {
    const pending = pendingResponses.add(request.raw.socket, reply.raw);
    bodies.add(request.raw, reply.raw);
    checkWellFormed(request.raw);
    if (pending > MAX_PENDING_RESPONSES) throw tooFarAhead();
  };
}

/** Limits the connections that wait for a request. Call it after the access rules are added. */
export function limitIdleConnections(
  app: FastifyInstance,
  idle = new IdleConnections(MAX_IDLE_CONNECTIONS, monotonicClock),
): void {
  app.server.on('connection', (socket: Socket) => idle.opened(socket));
  app.server.on('secureConnection', (socket: TLSSocket) =>
    idle.secured(rawConnection(socket), socket),
  );
  app.addHook('onRequest', (request: InboundRequest, reply, done) => {
    const { socket } = request.raw;
    // The target comes first because Fastify makes `routeOptions` anew at each look; it is never
    // set for a brief route.
    if (!request.target && request.routeOptions.config.brief) idle.renew(socket);
    // The response to an upgrade closes only with its connection, which is not idle again.
    else reply.raw.on('close', idle.busy(socket));
    done();
  });
}

/** Says in words what the HTTP parser refused. */
export function describeBroken(code: string): string {
  if (code === 'HPE_HEADER_OVERFLOW') {
    return `the request headers are larger than ${MAX_HEADER_BYTES} bytes`;
  }
  if (code === 'ERR_HTTP_REQUEST_TIMEOUT') {
    return `the request headers did not come within ${HEADERS_TIMEOUT_MS / 1000} seconds`;
  }
  return 'the request is not valid HTTP';
}

function tooFarAhead(): SidecarError {
  return new SidecarError(
    'AUTH_REQUEST_INVALID',
    `more than ${MAX_PENDING_RESPONSES} requests were sent ahead of their responses`,
  );
}
