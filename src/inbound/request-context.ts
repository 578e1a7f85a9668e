import type { FastifyReply, FastifyRequest } from 'fastify';
import type { Client } from '../clients/client-tokens.ts';
import type { OpenExchange } from '../telemetry/exchange-record.ts';

// Everything that this program adds to Fastify's requests and routes. It is declared here and
// nowhere else, and whoever uses one of the fields imports one of these types: otherwise a folder
// could depend on another one without an import that shows it.

/**
 * Who needs a client token: `client` always, `local` only from other machines, `open` never.
 * Host and origin are checked for all of them.
 */
export type AccessLevel = 'client' | 'local' | 'open';

/** A request target after normalisation. `path + query` is what is matched and what is sent. */
export interface NormalizedTarget {
  path: string;
  /** Empty, or `?` and the query, byte for byte as it came. */
  query: string;
}

/** What a route says about itself; the `config` of its options. */
export interface RouteFlags {
  /** Who may call the route; a route without it stops the start. */
  access?: AccessLevel;
  /** Lets the sidecar's own page read the route; only for reads that need no token. */
  fromOwnPage?: true;
  /**
   * Only for the sidecar's own page, in a browser on this machine: what the page changes. `Origin`
   * must be there and ours.
   */
  byOwnPage?: true;
  /** One of the sidecar's own endpoints, as opposed to a proxied route. */
  own?: true;
  /**
   * Needs no token here and is answered at once. Its connection still counts as idle; else unread
   * responses could hold any number of connections.
   */
  brief?: true;
}

/** What is known of a request beside what the client sent. */
interface RequestContext {
  /** The record of this exchange; set before any check. */
  exchange: OpenExchange;
  /** Normalised path and query; set before any handler of a `client` route, else null. */
  target: NormalizedTarget | null;
  /** Who sent the request; null where it need not be known. */
  client: Client | null;
}

/** A request with its context. */
export type InboundRequest = FastifyRequest;

/** A part of what every request meets on its arrival. @throws SidecarError to refuse it */
export type ArrivalStep = (request: InboundRequest, reply: FastifyReply) => void;

declare module 'fastify' {
  interface FastifyContextConfig extends RouteFlags {}
  interface FastifyRequest extends RequestContext {}
}
