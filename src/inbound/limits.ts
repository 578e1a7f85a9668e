import type { Socket } from 'node:net';
import type { FastifyInstance, onRequestHookHandler } from 'fastify';
import { SidecarError } from '../base/errors.ts';
import { IdleConnections } from './idle-connections.ts';
import type { PendingResponses } from './pending-responses.ts';
import { BodyWatch } from './slow-body.ts';
import { checkWellFormed } from './well-formed.ts';

export const MAX_HEADER_BYTES = 64 * 1024;
const HEADERS_TIMEOUT_MS = 30_000;

/** Options of Node's HTTP server. */
export const HTTP_OPTIONS = {
  maxHeaderSize: MAX_HEADER_BYTES,
  // Counts from the start of the connection too, so that it holds for one that never says anything.
  headersTimeout: HEADERS_TIMEOUT_MS,
  connectionsCheckingInterval: 5_000,
  // A missing Host is judged by the access rules, with an answer of ours.
  requireHostHeader: false,
};

/** Codex never sends ahead; each request that does holds a connection to the upstream. */
const MAX_OPEN_ANSWERS = 32;
const MAX_IDLE_CONNECTIONS = 1_000;
const BODY_PACE = { stallMs: 120_000, afterResponseMs: 30_000 };

/** Bounds what a client may send, and how slowly. Call it before the access rules are added. */
export function boundRequests(app: FastifyInstance, answers: PendingResponses): void {
  // Node would answer what it cannot expect by itself.
  app.server.on('checkExpectation', app.routing);
  const bodies = new BodyWatch(BODY_PACE);
  app.addHook('onRequest', (request, reply, done) => {
    const open = answers.add(request.raw.socket, reply.raw);
    bodies.add(request.raw, reply.raw);
    try {
      checkWellFormed(request.raw);
      if (open > MAX_OPEN_ANSWERS) throw tooFarAhead();
      done();
    } catch (error) {
      done(error as Error);
    }
  });
}

/** Bounds the connections that wait. @returns the hook that follows the access rules */
export function boundIdleConnections(
  app: FastifyInstance,
  idle = new IdleConnections(MAX_IDLE_CONNECTIONS, () => performance.now()),
): onRequestHookHandler {
  app.server.on('connection', (socket: Socket) => idle.opened(socket));
  return (request, reply, done) => {
    const { socket } = request.raw;
    // A target is set for what is never brief, and the options are made anew at each look.
    if (!request.target && request.routeOptions.config.brief) idle.renew(socket);
    // The answer to an upgrade closes only with its connection, which is not idle again.
    else reply.raw.on('close', idle.busy(socket));
    done();
  };
}

/** What the HTTP parser refused, in words. */
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
    `more than ${MAX_OPEN_ANSWERS} requests were sent ahead of their answers`,
  );
}
