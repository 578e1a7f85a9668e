import type { IncomingMessage, ServerResponse } from 'node:http';
import type { FastifyReply } from 'fastify';
import type { Dispatcher } from 'undici';
import type { Clock } from '../base/clock.ts';
import type { ClientCounters } from '../clients/counters.ts';
import type { RouteRule } from '../config/resolve.ts';
import type { CredentialManager } from '../credentials/manager.ts';
import type { InboundRequest } from '../inbound/request-context.ts';
import type { Traffic } from '../telemetry/traffic.ts';
import type { BackendClock } from '../upstream/backend-clock.ts';
import type { CloudflareCookies } from './cookies.ts';
import type { KeptBody, ReplayBudget } from './request-body.ts';
import type { UpstreamBase } from './routes.ts';
import type { UsageReading } from './usage/reading.ts';
import type { OpenTunnels } from './websocket/open-tunnels.ts';
import type { WaitingClient } from './websocket/waiting-client.ts';

export interface ForwardOptions {
  manager: Pick<CredentialManager, 'authorize' | 'rejected' | 'suspectRejected'>;
  dispatcher: Dispatcher;
  upstreams: { chatgpt: UpstreamBase; openai: UpstreamBase };
  /** Asked at every request, because a reload may change them. */
  routes: () => readonly RouteRule[];
  traffic: Traffic;
  counters: ClientCounters;
  now: Clock;
  backendClock: Pick<BackendClock, 'observeResponse'>;
  /** Cookies of the ChatGPT upstream; they go nowhere else. */
  cookies: CloudflareCookies;
  tunnels: OpenTunnels;
  /** What reads the responses as they pass. */
  usage: UsageReading;
  bodyBytes: number;
  replay: ReplayBudget;
  maxConnections: number | null;
  isDraining: () => boolean;
  /** Whether a request is still served; during a shutdown not every one is. */
  serves: (request: IncomingMessage, response: ServerResponse) => boolean;
}

/** One proxied request on its way. */
export interface ProxiedRequest {
  request: InboundRequest;
  reply: FastifyReply;
  options: ForwardOptions;
  rule: RouteRule;
  path: string;
  query: string;
  /** null on an upgrade, and on a request without a body. */
  body: KeptBody | null;
  /** The client of an upgrade; null for any other request. */
  waiting: WaitingClient | null;
  /** Counts the end of the exchange. */
  closed: () => void;
}
