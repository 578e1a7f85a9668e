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

/**
 * Requests do not outlive the right to send them: a stream whose token or certificate was removed,
 * expired, or lost its path is cut (WebSockets with 1008). Looked at when the tokens change, and once a second,
 * because no timer can wait for a time of day that may be set.
 */
export class OpenRequests {
  readonly #rules: () => AccessRules;
  readonly #peers: PeerCertificates;
  readonly #now: () => number;
  readonly #open = new OpenList<OpenRequest>();
  #checking: NodeJS.Timeout | null = null;

  /** @param rules asked at each check, because a reload may change them */
  constructor(rules: () => AccessRules, peers: PeerCertificates, now: () => number) {
    this.#rules = rules;
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
      const isAllowed = isStillAllowed(client, path, request.exchange.upgrade, rules, now);
      if (isAllowed) request.client = client;
      // Again at the next check, if it is between two tries and could not be cut.
      else request.exchange.cut();
    }
    if (this.#open.size === 0) this.stop();
  };

  stop(): void {
    clearInterval(this.#checking ?? undefined);
    this.#checking = null;
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
