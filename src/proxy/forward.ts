import type { FastifyReply, FastifyRequest } from 'fastify';
import type { Dispatcher } from 'undici';
import type { RouteRule } from '../config.ts';
import type { Authorization, CredentialManager } from '../credentials/manager.ts';
import { classifyRejection, mayBeRejection } from '../credentials/rejection.ts';
import { SidecarError } from '../errors.ts';
import type { Traffic } from '../traffic.ts';
import type { CloudflareCookies } from './cookies.ts';
import { continuation } from './expectation.ts';
import { type HeaderLookup, requestIdOf, switchingHeaders, upstreamHeaders } from './headers.ts';
import { type AnswerJudge, type Exchange, type RelayOutcome, relay } from './relay.ts';
import { type KeptBody, openBody, type ReplayBudget } from './request-body.ts';
import { isModelRoute, matchRoute, upstreamPath } from './routes.ts';
import type { Tunnels } from './tunnels.ts';
import { checkHandshake, type HeldClient, holdClient, isUpgrade } from './upgrade.ts';

/** An upstream: origin, and path of its base URL without a trailing slash. */
export interface UpstreamBase {
  origin: string;
  basePath: string;
}

export interface ForwardOptions {
  manager: Pick<CredentialManager, 'authorize' | 'rejected' | 'suspect'>;
  dispatcher: Dispatcher;
  upstreams: { chatgpt: UpstreamBase; openai: UpstreamBase };
  /** Asked at every request, because a reload may change them. */
  routes: () => readonly RouteRule[];
  traffic: Traffic;
  /** Of the ChatGPT upstream; no other one gets any. */
  cookies: CloudflareCookies;
  tunnels: Tunnels;
  bodyBytes: number;
  replay: ReplayBudget;
  maxConnections: number | null;
  isDraining: () => boolean;
}

export function parseUpstream(baseUrl: string): UpstreamBase {
  const { origin, pathname } = new URL(baseUrl);
  return { origin, basePath: pathname === '/' ? '' : pathname };
}

/** One proxied request on its way. */
interface Passage {
  request: FastifyRequest;
  reply: FastifyReply;
  options: ForwardOptions;
  rule: RouteRule;
  path: string;
  query: string;
  /** null on an upgrade, and where there is none. */
  body: KeptBody | null;
  /** The client of an upgrade. */
  held: HeldClient | null;
  /** Counts the end of the exchange. */
  closed: () => void;
}

/** Authorise, scrub, inject, relay: the way of every proxied request. */
export async function forward(
  request: FastifyRequest,
  reply: FastifyReply,
  options: ForwardOptions,
): Promise<void> {
  const { raw, target } = request;
  if (!target) throw new SidecarError('SIDECAR_INTERNAL', 'the request was not checked');
  checkCapacity(options);
  const upgrade = isUpgrade(raw);
  const closed = countExchange(reply, options.traffic, upgrade);
  const { path, query } = target;
  const rule = matchRoute(options.routes(), request.method, path, upgrade);
  request.observation.kind = rule?.auth ?? 'deny';
  if (upgrade) checkHandshake(raw);
  if (!rule || rule.auth === 'deny') {
    throw new SidecarError('AUTH_ROUTE_DENIED', 'this route is not allowed');
  }
  // Awaited in any case: meanwhile the parser hands over the body that came along with the head.
  const authorization = await options.manager.authorize(rule.auth, isModelRoute(path));
  const wanted = continuation(raw, reply.raw);
  const body = upgrade ? null : openBody(raw, options.bodyBytes, options.replay, wanted);
  const held = upgrade ? holdClient(raw) : null;
  request.observation.body = body;
  const passage: Passage = { request, reply, options, rule, path, query, body, held, closed };
  try {
    const outcome = await send(passage, authorization, body?.content ?? null, true);
    if (outcome === 'dropped') await replay(passage);
  } catch (error) {
    held?.refuse();
    throw error;
  } finally {
    body?.forget();
  }
  // The client may be gone before any answer; there is nobody left to answer then.
  if (!reply.sent) reply.hijack();
}

/** The one more try, with new headers; whatever comes of it goes to the client. */
async function replay(passage: Passage): Promise<void> {
  const { rule, path, body, options } = passage;
  const authorization = await options.manager.authorize(rule.auth, isModelRoute(path));
  await send(passage, authorization, body?.replay() ?? null, false);
}

async function send(
  passage: Passage,
  authorization: Authorization,
  body: Exchange['body'],
  mayReplay: boolean,
): Promise<RelayOutcome> {
  const { request, reply, options, query, held } = passage;
  const { observation } = request;
  const { origin, basePath } = options.upstreams[authorization.upstream];
  const path = upstreamPath(authorization.upstream, basePath, passage.path);
  const cookies = authorization.upstream === 'chatgpt' ? options.cookies : null;
  const pending = cookies?.header(path) ?? null;
  const cookie = pending instanceof Promise ? await pending : pending;
  if (authorization.headers) options.traffic.request(authorization.headers.kind);
  if (authorization.degraded) options.traffic.request('degraded');
  const exchange: Exchange = {
    dispatcher: options.dispatcher,
    origin,
    path: path + query,
    method: request.method,
    headers: upstreamHeaders(request.raw.rawHeaders, authorization.headers, cookie),
    body,
    upgrade: held !== null,
    judge: mayReplay ? judgeOf(passage, authorization) : null,
    observation,
  };
  observation.sent();
  return relay(exchange, reply.raw, {
    onAnswer: (rawHeaders) => cookies?.observe(path, rawHeaders),
    onStart: (status, header) => {
      noteAnswer(passage, status, header);
      held?.refuse();
      reply.hijack();
    },
    onUpgrade: (rawHeaders, header, socket) => {
      noteAnswer(passage, 101, header);
      reply.hijack();
      // Counted before the other ends, so that a drain sees no gap.
      const ended = options.traffic.opened('websocket');
      passage.closed();
      const headers = switchingHeaders(rawHeaders);
      const tunnel = held?.join(reply.raw, headers, socket, options.tunnels, () =>
        options.manager.suspect(authorization),
      );
      observation.status = 101;
      observation.ending = 'complete';
      observation.passed = () => held?.passed ?? { up: 0, down: 0 };
      void tunnel?.ended.then(() => {
        ended();
        observation.end();
      });
    },
  });
}

function noteAnswer({ request, options }: Passage, status: number, header: HeaderLookup): void {
  options.traffic.answered(status, header);
  const { observation } = request;
  observation.begun();
  observation.upstreamRequestId = requestIdOf(header);
  observation.challenged = header('cf-mitigated') === 'challenge';
}

/** Finds rejections and tells the manager; null where no credential was sent. */
function judgeOf(
  { request, options, body }: Passage,
  authorization: Authorization,
): AnswerJudge | null {
  if (!authorization.headers) return null;
  const { kind } = authorization.headers;
  return {
    wantsBody: (head) => mayBeRejection(kind, head),
    drops: async (answer) => {
      options.traffic.answered(answer.status, answer.header);
      request.observation.answered();
      const rejection = classifyRejection(kind, answer);
      if (!rejection) return false;
      const mended = options.manager.rejected(authorization, rejection);
      // A body that cannot be sent again: the answer need not wait for what helps the next request.
      return body && !(await body.whole()) ? false : mended;
    },
  };
}

/**
 * Counts an exchange from its first check on, so that those that wait for a credential are seen by
 * the limit and by the drain. @returns what counts its end
 */
function countExchange(reply: FastifyReply, traffic: Traffic, upgrade: boolean): () => void {
  const closed = traffic.opened('http');
  reply.raw.on('close', closed);
  // A refused upgrade has had its whole answer long before its connection is closed.
  if (upgrade) reply.raw.on('finish', closed);
  return closed;
}

function checkCapacity({ isDraining, maxConnections, traffic }: ForwardOptions): void {
  if (isDraining()) {
    throw new SidecarError('AUTH_DRAINING', 'the sidecar is shutting down', {
      retryAfterSeconds: 1,
    });
  }
  if (maxConnections !== null && traffic.open >= maxConnections) {
    throw new SidecarError(
      'UPSTREAM_BUSY',
      `${maxConnections} requests are open already (upstream.maxConnections)`,
      { retryAfterSeconds: 1 },
    );
  }
}
