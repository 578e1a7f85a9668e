import type { Duplex } from 'node:stream';
import { hasTokenLimit, mustReadSocket } from '../clients/limits.ts';
import type { Authorization } from '../credentials/manager.ts';
import {
  classifyRejection,
  mayBeRejection,
  type UpstreamResponse,
} from '../credentials/rejection.ts';
import { queryWithoutKeys } from './client-keys.ts';
import type { CloudflareCookies } from './cookies.ts';
import { switchingHeaders, upstreamHeaders } from './headers.ts';
import type { ProxiedRequest } from './proxied-request.ts';
import { relay } from './relay.ts';
import type { RelayEvents, RelayOutcome, UpstreamRequest } from './relay-events.ts';
import type { ResponseHead } from './response-head.ts';
import { upstreamPath } from './routes.ts';
import { SocketUse } from './socket-use.ts';
import type { BodyReader } from './usage/body-reader.ts';
import { POLICY_VIOLATION } from './websocket/tunnel.ts';
import type { OpenTunnel } from './websocket/waiting-client.ts';

/** One try of a request, with the headers of `authorization`, and what its response means to us. */
export class Attempt implements RelayEvents {
  /** Cookies of the upstream that the try goes to; null where none are kept. */
  readonly #cookies: CloudflareCookies | null;
  /** Upstream, without the query. */
  readonly #path: string;
  readonly #origin: string;
  readonly #proxied: ProxiedRequest;
  readonly #authorization: Authorization;
  readonly #mayReplay: boolean;

  constructor(proxied: ProxiedRequest, authorization: Authorization, mayReplay: boolean) {
    const { upstream } = authorization;
    const { upstreams, cookies } = proxied.options;
    const { origin, basePath } = upstreams[upstream];
    this.#cookies = upstream === 'chatgpt' ? cookies : null;
    this.#path = upstreamPath(upstream, basePath, proxied.path);
    this.#origin = origin;
    this.#proxied = proxied;
    this.#authorization = authorization;
    this.#mayReplay = mayReplay;
  }

  send(body: UpstreamRequest['body']): Promise<RelayOutcome> {
    const cookie = this.#cookies?.header(this.#path) ?? null;
    return cookie instanceof Promise
      ? cookie.then((ready) => this.#sendWith(ready, body))
      : this.#sendWith(cookie, body);
  }

  #sendWith(cookie: string | null, body: UpstreamRequest['body']): Promise<RelayOutcome> {
    const { request, reply, options, query, waiting } = this.#proxied;
    const { exchange } = request;
    const { headers, degraded } = this.#authorization;
    if (headers) options.traffic.request(headers.kind);
    if (degraded) options.traffic.request('degraded');
    const upgrade = waiting !== null;
    const limits = request.client?.limits ?? null;
    const mustRead = upgrade ? mustReadSocket(limits) : hasTokenLimit(limits);
    const upstreamRequest: UpstreamRequest = {
      dispatcher: options.dispatcher,
      origin: this.#origin,
      path: this.#path + queryWithoutKeys(query),
      method: request.method,
      headers: upstreamHeaders(request.raw.rawHeaders, headers, cookie, mustRead),
      body,
      upgrade,
    };
    exchange.sent();
    return relay(upstreamRequest, reply.raw, exchange, this);
  }

  onHead(head: ResponseHead): 'pass' | 'hold' {
    this.#observe(head);
    const { headers } = this.#authorization;
    const mayReject = this.#mayReplay && headers !== null && mayBeRejection(headers.kind, head);
    return mayReject ? 'hold' : 'pass';
  }

  onPass(head: ResponseHead): BodyReader | null {
    const { request, options, path } = this.#proxied;
    return options.usage.body(request, path, head);
  }

  /** Finds rejections and tells the manager. */
  async onHeld(response: UpstreamResponse): Promise<'pass' | 'drop'> {
    const { request, options, body } = this.#proxied;
    const { headers } = this.#authorization;
    request.exchange.answered();
    const rejection = headers ? classifyRejection(headers.kind, response) : null;
    if (!rejection) return 'pass';
    const replaced = options.manager.rejected(this.#authorization, rejection);
    // With a body that cannot be sent again the client need not wait for the next credential.
    if (body && !(await body.whole())) return 'pass';
    return (await replaced) ? 'drop' : 'pass';
  }

  onUpgrade(head: ResponseHead, socket: Duplex): void {
    this.#observe(head);
    const { request, reply, options, waiting, closed } = this.#proxied;
    const { exchange } = request;
    // Counted before the other ends, so that a drain sees no gap.
    const ended = options.traffic.opened('websocket');
    closed();
    const headers = switchingHeaders(head.raw);
    const use = new SocketUse(request, this.#proxied.path, options);
    const reading = options.usage.frames(request, head, use.turnsChanged);
    use.reading = reading;
    const watch = { sink: reading?.frames ?? null, admitsMessage: use.admitsMessage };
    const open: OpenTunnel = (client, early) => options.tunnels.open(client, socket, early, watch);
    const tunnel = waiting?.join(reply.raw, headers, socket, open, () =>
      options.manager.suspectRejected(this.#authorization),
    );
    exchange.cut = () => {
      exchange.ending = 'revoked';
      tunnel?.close(POLICY_VIOLATION);
    };
    exchange.status = 101;
    exchange.ending = 'complete';
    exchange.passed = () => waiting?.passed ?? { up: 0, down: 0 };
    void tunnel?.ended.then(() => {
      ended();
      exchange.end();
    });
  }

  /** What every response tells us, whether or not the client will see it. */
  #observe(head: ResponseHead): void {
    const { status, parsed, header } = head;
    const { traffic, backendClock, usage } = this.#proxied.options;
    if (this.#authorization.upstream === 'chatgpt') usage.headers(head);
    traffic.answered(status);
    backendClock.observeResponse(header);
    const lines = parsed['set-cookie'];
    if (lines !== undefined) this.#cookies?.observe(this.#path, [lines].flat());
  }
}
