import type { Socket } from 'node:net';
import Fastify, {
  type FastifyBaseLogger,
  type FastifyError,
  type FastifyInstance,
  type FastifyReply,
  LogController,
} from 'fastify';
import { errorBody, SidecarError } from '../base/errors.ts';
import type { Logger } from '../base/logger.ts';
import type { ExchangeLog } from '../telemetry/exchange-record.ts';
import type { DescriptorWatch } from './descriptors.ts';
import { describeBroken, HTTP_OPTIONS, limitRequests } from './limits.ts';
import { closeGently } from './lingering-close.ts';
import { beginExchange, recordExchanges } from './observe.ts';
import type { PendingResponses } from './pending-responses.ts';
import { rawResponse } from './raw-response.ts';
import type { ArrivalStep, InboundRequest } from './request-context.ts';
import { admitTlsOnly, type TlsIdentity, tlsOptions } from './tls.ts';

/** No route has a schema, and Fastify would load its compilers for them at every start. */
const NO_SCHEMAS = { buildValidator: refuseSchema, buildSerializer: refuseSchema };

function refuseSchema(): never {
  throw new Error('routes have no schemas here');
}

export interface HttpServerOptions {
  log: Logger;
  pendingResponses: PendingResponses;
  exchangeLog: ExchangeLog;
  descriptors: DescriptorWatch;
  /** null: plain HTTP. */
  tls: TlsIdentity | null;
  /** How long a TLS handshake may take, in milliseconds; has a default. */
  handshakeMs?: number;
}

/**
 * The server without routes: what every request meets before its caller is known, and how errors
 * are answered.
 */
export function createHttpServer(options: HttpServerOptions): FastifyInstance {
  const { log, pendingResponses, exchangeLog, descriptors, tls } = options;
  const quiet = quietLogger(log);
  // To Fastify's types an HTTPS server is another one; all that we use of an HTTP server is there too.
  const protocol =
    tls === null ? { http: HTTP_OPTIONS } : { https: { ...HTTP_OPTIONS, ...tlsOptions(tls) } };
  const app: FastifyInstance = Fastify({
    ...protocol,
    // With a logger of its own Fastify waits for the end of each response, to log a line that we do
    // not want. What else it has to say about a request comes through the factory all the same.
    logger: false,
    childLoggerFactory: () => quiet,
    logController: new LogController({ disableRequestLogging: true }),
    schemaController: { compilersFactory: NO_SCHEMAS },
    forceCloseConnections: true,
    clientErrorHandler: (error, socket) =>
      respondToBrokenRequest(error, socket, pendingResponses, exchangeLog),
    frameworkErrors: (error, request, reply) => {
      const known = toSidecarError(error);
      beginExchange(exchangeLog, request, reply).code = known.code;
      sendError(reply, known);
    },
  });
  if (tls) admitTlsOnly(app, log, exchangeLog, options.handshakeMs);
  const steps = [
    catchWriteErrors(quiet),
    recordExchanges(app, exchangeLog),
    limitRequests(app, pendingResponses),
  ];
  // One hook for all of them, because each is a call and a callback more for every request.
  app.addHook('onRequest', (request, reply, done) => {
    try {
      for (const step of steps) step(request, reply);
    } catch (error) {
      done(error as Error);
      return;
    }
    done();
  });
  descriptors.watch(app.server);
  app.setErrorHandler((error: FastifyError, request: InboundRequest, reply) => {
    const known = toSidecarError(error);
    // A method that Node knows and the router does not (those of RTSP) skips the hooks.
    const exchange = request.exchange ?? beginExchange(exchangeLog, request, reply);
    exchange.code = known.code;
    if (known.code === 'SIDECAR_INTERNAL') log.error({ err: error }, 'internal error');
    else log.debug({ code: known.code }, known.message);
    descriptors.failed(error);
    sendError(reply, known);
  });
  return app;
}

/** The log for Fastify, which has nothing useful to say below a warning. */
function quietLogger(log: Logger): FastifyBaseLogger {
  return log.child({}, { level: log.isLevelEnabled('warn') ? 'warn' : log.level });
}

/** An error event that nobody listens for would end the process. */
function catchWriteErrors(log: FastifyBaseLogger): ArrivalStep {
  const failed = (error: Error) => log.warn({ err: error }, 'a response could not be written');
  return (_request, reply) => {
    reply.raw.on('error', failed);
  };
}

function sendError(reply: Pick<FastifyReply, 'code'>, error: SidecarError): void {
  reply.code(error.statusCode).headers(error.headers).send(errorBody(error));
}

/** The texts of foreign errors are not shown to clients: they may hold anything. */
function toSidecarError(error: unknown): SidecarError {
  if (error instanceof SidecarError) return error;
  const { code, statusCode } = error as { code?: unknown; statusCode?: unknown };
  // The router refuses broken percent-encoding before any hook runs.
  if (code === 'FST_ERR_BAD_URL') {
    return new SidecarError('AUTH_PATH_INVALID', 'the path is not valid percent-encoded UTF-8');
  }
  if (typeof statusCode === 'number' && statusCode >= 400 && statusCode < 500) {
    return new SidecarError('AUTH_REQUEST_INVALID', 'the request is malformed', { cause: error });
  }
  return new SidecarError('SIDECAR_INTERNAL', 'the sidecar failed; its log says why', {
    cause: error,
  });
}

/** For what the HTTP parser refuses, which never becomes a request. */
function respondToBrokenRequest(
  error: Error & { code: string },
  socket: Socket,
  pendingResponses: PendingResponses,
  exchangeLog: ExchangeLog,
): void {
  // A response that is on its way must be cut, not have another one written into it.
  if (error.code === 'ECONNRESET' || pendingResponses.first(socket)?.headersSent) {
    socket.destroy();
    return;
  }
  // The rest of a request that was answered already.
  if (!socket.writable) return;
  const refusal = new SidecarError('AUTH_REQUEST_INVALID', describeBroken(error.code));
  socket.write(rawResponse(refusal));
  closeGently(socket);
  exchangeLog.refused(null, refusal);
}
