import { SidecarError } from '../base/errors.ts';
import { OpenList } from '../base/open-list.ts';
import type { Client } from '../clients/client-tokens.ts';
import type { PeerCertificates } from '../inbound/peer-certificates.ts';
import type { InboundRequest } from '../inbound/request-context.ts';
import { type AccessRules, isStillAllowed } from './caller.ts';

const CHECK_EVERY_MS = 1_000;

/** A request that was let in and is not over. */
interface OpenRequest {
  request: InboundRequest;
  path: string;
}

/** Whether a proxied request may go on by the routes of the configuration. */
export type RouteCheck = (method: string, path: string, upgrade: boolean) => boolean;

/**
 * Requests do not outlive the right to send them: a stream whose token or certificate was removed,
 * expired, or lost its path, or whose route was taken away, is cut (WebSockets with 1008). Looked at
 * when tokens or routes change, and once a second, because no timer can wait for a time of day that
 * may be set.
 */
export class OpenRequests {
  readonly #rules: () => AccessRules;
  readonly #isRouted: RouteCheck;
  readonly #peers: PeerCertificates;
  readonly #now: () => number;
  readonly #open = new OpenList<OpenRequest>();
  #checking: NodeJS.Timeout | null = null;

  /** @param rules asked at each check, as is `isRouted`, because a reload may change them */
  constructor(
    rules: () => AccessRules,
    isRouted: RouteCheck,
    peers: PeerCertificates,
    now: () => number,
  ) {
    this.#rules = rules;
    this.#isRouted = isRouted;
    this.#peers = peers;
    this.#now = now;
  }

  /** @param path in normal form */
  add(request: InboundRequest, path: string): void {
    const place = this.#open.add({ request, path });
    request.exchange.whenFinished(() => this.#open.remove(place));
    this.#checking ??= setInterval(this.check, CHECK_EVERY_MS).unref();
  }

  /** Cuts what may not go on, and gives the rest the rights that its clients have now. */
  readonly check = (): void => {
    const [rules, now] = [this.#rules(), this.#now()];
    for (const { request, path } of this.#open.items()) {
      const client = this.#currentClient(request, rules);
      const { upgrade } = request.exchange;
      // Again at the next check, if it is between two tries and could not be cut.
      if (!isStillAllowed(client, path, upgrade, rules, now)) request.exchange.cut(tokenIsOver());
      else if (!this.#hasRoute(request, path)) request.exchange.cut(routeIsGone());
      else request.client = client;
    }
    if (this.#open.size === 0) this.stop();
  };

  stop(): void {
    clearInterval(this.#checking ?? undefined);
    this.#checking = null;
  }

  /** The sidecar's own endpoints are no routes. */
  #hasRoute({ method, exchange, routeOptions }: InboundRequest, path: string): boolean {
    return routeOptions.config.own === true || this.#isRouted(method, path, exchange.upgrade);
  }

  /** The client as it is known now, by its token or its certificate. */
  #currentClient(
    { client, raw }: InboundRequest,
    { tokens, certificates }: AccessRules,
  ): Client | null {
    if (!client || (tokens === null && certificates === null)) return client;
    const byToken = tokens?.current(client);
    if (byToken) return byToken;
    const shown = this.#peers.of(raw.socket);
    const named = shown?.problem === null ? (certificates?.find(shown) ?? null) : null;
    return named?.key === client.key ? named : null;
  }
}

function tokenIsOver(): SidecarError {
  return new SidecarError(
    'AUTH_CLIENT_TOKEN',
    'the client token was removed, has expired or lost this path while the request was open',
  );
}

function routeIsGone(): SidecarError {
  return new SidecarError(
    'AUTH_ROUTE_DENIED',
    'no rule of "routes" allows this any more; the operator took it away while the request was open',
  );
}
