import {
  createServer,
  type IncomingHttpHeaders,
  type IncomingMessage,
  type Server,
  type ServerResponse,
} from 'node:http';
import { createServer as createTlsServer } from 'node:https';
import Fastify, { type FastifyError, type FastifyInstance } from 'fastify';
import { problemOfBody } from './body-check.ts';
import { deliver, trackEnd } from './deliver.ts';
import { examine, intercept } from './gate.ts';
import { badRequest, type EmulatedResponse, json, notFound } from './response.ts';
import { type EmulatorState, exchangeOf, openExchange } from './state.ts';
import type { RequiredAuth } from './verify.ts';

declare module 'fastify' {
  interface FastifyContextConfig {
    /** What a route of the emulator asks for; every route must say it. */
    emulatorAuth?: RequiredAuth;
    /** Schema of the body; absent: any body will do. */
    emulatorBody?: object;
  }
}

const BODY_LIMIT = 1024 ** 3;

/** The server with everything that holds for every route; it has no route yet. */
export function createEmulatorApp(
  state: EmulatorState,
  https: { key: string; cert: string } | undefined,
): FastifyInstance {
  const app = Fastify({
    serverFactory: (handler) => listenFrom(state, https, handler),
    bodyLimit: BODY_LIMIT,
    forceCloseConnections: true,
    routerOptions: { maxParamLength: 2048 },
  });
  app.addHook('onRoute', ({ config, method, url }) => {
    if (config?.emulatorAuth === undefined) throw new Error(`${method} ${url} lacks emulatorAuth`);
  });
  parseBodies(app, state);
  addGate(app, state);
  const send = createSend(state);
  app.setNotFoundHandler((_request, reply) => send(reply, notFound()));
  app.setErrorHandler<FastifyError>((error, _request, reply) => {
    const status = error.statusCode ?? 500;
    return send(reply, status === 400 ? badRequest(error.message) : json(status, {}));
  });
  return app;
}

/** Options of a route that takes only such bodies. */
export function accepting(emulatorAuth: RequiredAuth, emulatorBody: object) {
  return { config: { emulatorAuth, emulatorBody } };
}

/** The parts of a Fastify reply that sending needs, whatever the route. */
interface Reply {
  hijack(): unknown;
  raw: ServerResponse;
  request: { raw: IncomingMessage };
}

type Send = (reply: Reply, response: EmulatedResponse) => Promise<void>;

/** Makes the one function through which every route answers. */
export function createSend(state: EmulatorState): Send {
  return async (reply, response) => {
    reply.hijack();
    await deliver(state, exchangeOf(state, reply.request.raw), reply.raw, response);
  };
}

// Requests are recorded before Fastify sees them: it answers a malformed URL without any hook.
function listenFrom(
  state: EmulatorState,
  https: { key: string; cert: string } | undefined,
  handler: (request: IncomingMessage, response: ServerResponse) => void,
): Server {
  const listener = (request: IncomingMessage, response: ServerResponse) => {
    trackEnd(state, openExchange(state, request, 'http'), response);
    handler(request, response);
  };
  return https ? createTlsServer(https, listener) : createServer(listener);
}

function parseBodies(app: FastifyInstance, state: EmulatorState): void {
  app.removeAllContentTypeParsers();
  app.addContentTypeParser('*', { parseAs: 'buffer' }, (request, content, done) => {
    const bytes = Buffer.from(content);
    const { record } = exchangeOf(state, request.raw);
    record.bodyBytes = bytes.length;
    record.body = parseBody(request.headers, bytes);
    state.recorder.changed(record);
    done(null, record.body);
  });
}

// Node 20 cannot decode zstd, which Codex sends: such a body stays unread.
function parseBody(headers: IncomingHttpHeaders, bytes: Buffer): unknown {
  const type = headers['content-type'] ?? '';
  if (headers['content-encoding'] !== undefined) return null;
  if (type.startsWith('application/x-www-form-urlencoded')) {
    return Object.fromEntries(new URLSearchParams(bytes.toString('utf8')));
  }
  if (!type.startsWith('application/json')) return null;
  try {
    return JSON.parse(bytes.toString('utf8'));
  } catch {
    return null;
  }
}

function addGate(app: FastifyInstance, state: EmulatorState): void {
  app.addHook('onRequest', async (request) => {
    const exchange = exchangeOf(state, request.raw);
    examine(state, exchange, request.routeOptions.config.emulatorAuth ?? 'none');
  });
  app.addHook('preValidation', async (request, reply) => {
    const exchange = exchangeOf(state, request.raw);
    const connection = { response: reply.raw, socket: request.raw.socket };
    if (await intercept(state, exchange, connection)) reply.hijack();
  });
  app.addHook('preHandler', async ({ routeOptions, body }) => {
    const { emulatorBody } = routeOptions.config;
    const problem = emulatorBody ? await problemOfBody(emulatorBody, body) : null;
    if (problem !== null) throw Object.assign(new Error(problem), { statusCode: 400 });
  });
}
