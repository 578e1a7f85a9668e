import type { Duplex } from 'node:stream';
import type { Authorization } from '../credentials/manager.ts';
import {
  classifyRejection,
  mayBeRejection,
  type UpstreamResponse,
} from '../credentials/rejection.ts';
import type { CloudflareCookies } from './cookies.ts';
import {
  type HeaderLookup,
  type ParsedHeaders,
  type RawHeaders,
  requestIdOf,
  switchingHeaders,
  upstreamHeaders,
} from './headers.ts';
import type { ProxiedRequest } from './proxied-request.ts';
import { type Exchange, type RelayEvents, type RelayOutcome, relay } from './relay.ts';
import { upstreamPath } from './routes.ts';

/** One try, with the headers of `authorization`; what the relay asks and tells in it. */
export class Attempt implements RelayEvents {
  /** Those of the upstream that it goes to; null where none are kept. */
  readonly #cookies: CloudflareCookies | null;
  /** Upstream, without the query. */
  readonly #path: string;
  readonly #origin: string;
  readonly #passage: ProxiedRequest;
  readonly #authorization: Authorization;
  readonly #mayReplay: boolean;

  constructor(passage: ProxiedRequest, authorization: Authorization, mayReplay: boolean) {
    const { upstream } = authorization;
    const { upstreams, cookies } = passage.options;
    const { origin, basePath } = upstreams[upstream];
    this.#cookies = upstream === 'chatgpt' ? cookies : null;
    this.#path = upstreamPath(upstream, basePath, passage.path);
    this.#origin = origin;
    this.#passage = passage;
    this.#authorization = authorization;
    this.#mayReplay = mayReplay;
  }

  send(body: Exchange['body']): Promise<RelayOutcome> {
    const cookie = this.#cookies?.header(this.#path) ?? null;
    return cookie instanceof Promise
      ? cookie.then((ready) => this.#relay(body, ready))
      : this.#relay(body, cookie);
  }

  #relay(body: Exchange['body'], cookie: string | null): Promise<RelayOutcome> {
    const { request, reply, options, query, held } = this.#passage;
    const { exchange: observation } = request;
    const { headers, degraded } = this.#authorization;
    if (headers) options.traffic.request(headers.kind);
    if (degraded) options.traffic.request('degraded');
    const exchange: Exchange = {
      dispatcher: options.dispatcher,
      origin: this.#origin,
      path: this.#path + query,
      method: request.method,
      headers: upstreamHeaders(request.raw.rawHeaders, headers, cookie),
      body,
      upgrade: held !== null,
      observation,
    };
    observation.sent();
    return relay(exchange, reply.raw, this);
  }

  onResponse({ 'set-cookie': lines }: ParsedHeaders): void {
    if (lines !== undefined) this.#cookies?.observe(this.#path, [lines].flat());
  }

  wantsBody(head: Pick<UpstreamResponse, 'status' | 'header'>): boolean {
    const { headers } = this.#authorization;
    return this.#mayReplay && headers !== null && mayBeRejection(headers.kind, head);
  }

  /** Finds rejections and tells the manager. */
  async drops(answer: UpstreamResponse): Promise<boolean> {
    const { request, options, body } = this.#passage;
    const { headers } = this.#authorization;
    this.#noteHead(answer.status, answer.header);
    request.exchange.answered();
    const rejection = headers ? classifyRejection(headers.kind, answer) : null;
    if (!rejection) return false;
    const mended = options.manager.rejected(this.#authorization, rejection);
    // A body that cannot be sent again: the answer need not wait for what helps the next request.
    return body && !(await body.whole()) ? false : mended;
  }

  onStart(status: number, header: HeaderLookup): void {
    this.#noteResponse(status, header);
    const { reply, held } = this.#passage;
    held?.refuse();
    reply.hijack();
  }

  onUpgrade(raw: RawHeaders, header: HeaderLookup, socket: Duplex): void {
    this.#noteResponse(101, header);
    const { request, reply, options, held, closed } = this.#passage;
    const { exchange: observation } = request;
    reply.hijack();
    // Counted before the other ends, so that a drain sees no gap.
    const ended = options.traffic.opened('websocket');
    closed();
    const headers = switchingHeaders(raw);
    const tunnel = held?.join(reply.raw, headers, socket, options.tunnels, () =>
      options.manager.suspectRejected(this.#authorization),
    );
    observation.status = 101;
    observation.ending = 'complete';
    observation.passed = () => held?.passed ?? { up: 0, down: 0 };
    void tunnel?.ended.then(() => {
      ended();
      observation.end();
    });
  }

  #noteHead(status: number, header: HeaderLookup): void {
    const { traffic, backendClock } = this.#passage.options;
    traffic.answered(status);
    backendClock.observeResponse(header);
  }

  #noteResponse(status: number, header: HeaderLookup): void {
    this.#noteHead(status, header);
    const { request } = this.#passage;
    const { exchange: observation } = request;
    observation.begun();
    observation.upstreamRequestId = requestIdOf(header);
    observation.challenged = header('cf-mitigated') === 'challenge';
  }
}
