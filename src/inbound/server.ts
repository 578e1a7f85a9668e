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
import { boundRequests, describeBroken, HTTP_OPTIONS } from './limits.ts';
import { closeGently } from './lingering-close.ts';
import { beginExchange, observeExchanges } from './observe.ts';
import type { PendingResponses } from './pending-responses.ts';
import { rawResponse } from './raw-response.ts';

/** No route has a schema, and Fastify would load its compilers for them at every start. */
const NO_SCHEMAS = { buildValidator: refuseSchema, buildSerializer: refuseSchema };

function refuseSchema(): never {
  throw new Error('routes have no schemas here');
}

/** The server without routes: what every request meets first, and how errors are answered. */
export function createHttpServer(
  log: Logger,
  answers: PendingResponses,
  observer: ExchangeLog,
): FastifyInstance {
  const quiet = quietLogger(log);
  const app: FastifyInstance = Fastify({
    // With a logger of its own Fastify listens to the end of each answer, for a line that is not
    // wanted; what it has to say of a request comes through the factory all the same.
    logger: false,
    childLoggerFactory: () => quiet,
    logController: new LogController({ disableRequestLogging: true }),
    schemaController: { compilersFactory: NO_SCHEMAS },
    forceCloseConnections: true,
    http: HTTP_OPTIONS,
    clientErrorHandler: (error, socket) => respondToBrokenRequest(error, socket, answers, observer),
    frameworkErrors: (error, request, reply) => {
      const known = toSidecarError(error);
      beginExchange(observer, request, reply).code = known.code;
      sendError(reply, known);
    },
  });
  const failed = (error: Error) => quiet.warn({ err: error }, 'an answer could not be written');
  app.addHook('onRequest', (_request, reply, done) => {
    // One that nobody listens for would end the process.
    reply.raw.on('error', failed);
    done();
  });
  observeExchanges(app, observer);
  boundRequests(app, answers);
  app.setErrorHandler((error: FastifyError, request, reply) => {
    const known = toSidecarError(error);
    // A method that Node knows and the router does not (those of RTSP) goes past the hooks.
    const observation = request.observation ?? beginExchange(observer, request, reply);
    observation.code = known.code;
    if (known.code === 'SIDECAR_INTERNAL') log.error({ err: error }, 'internal error');
    else log.debug({ code: known.code }, known.message);
    sendError(reply, known);
  });
  return app;
}

/** What Fastify logs through: it would say nothing of use below a warning. */
function quietLogger(log: Logger): FastifyBaseLogger {
  return log.child({}, { level: log.isLevelEnabled('warn') ? 'warn' : log.level });
}

function sendError(reply: Pick<FastifyReply, 'code'>, error: SidecarError): void {
  reply.code(error.statusCode).headers(error.headers).send(errorBody(error));
}

/** Texts of foreign errors stay here: they may hold anything. */
function toSidecarError(error: unknown): SidecarError {
  if (error instanceof SidecarError) return error;
  const { code, statusCode } = error as { code?: unknown; statusCode?: unknown };
  // The router gives up on broken percent-encoding before any hook can.
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

// What the HTTP parser refuses never becomes a request.
function respondToBrokenRequest(
  error: Error & { code: string },
  socket: Socket,
  answers: PendingResponses,
  observer: ExchangeLog,
): void {
  // An answer that is on its way must be cut, not have another one written into it.
  if (error.code === 'ECONNRESET' || answers.first(socket)?.headersSent) {
    socket.destroy();
    return;
  }
  // The rest of a request that was answered already.
  if (!socket.writable) return;
  const answer = new SidecarError('AUTH_REQUEST_INVALID', describeBroken(error.code));
  socket.write(rawResponse(answer));
  closeGently(socket);
  observer.refused(null, answer);
}
