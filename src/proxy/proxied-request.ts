import type { FastifyReply } from 'fastify';
import type { Dispatcher } from 'undici';
import type { RouteRule } from '../config/resolve.ts';
import type { CredentialManager } from '../credentials/manager.ts';
import type { InboundRequest } from '../inbound/request-context.ts';
import type { Traffic } from '../telemetry/traffic.ts';
import type { BackendClock } from '../upstream/backend-clock.ts';
import type { CloudflareCookies } from './cookies.ts';
import type { KeptBody, ReplayBudget } from './request-body.ts';
import type { OpenTunnels } from './websocket/open-tunnels.ts';
import type { HeldClient } from './websocket/upgrade.ts';

/** An upstream: origin, and path of its base URL without a trailing slash. */
export interface UpstreamBase {
  origin: string;
  basePath: string;
}

export interface ForwardOptions {
  manager: Pick<CredentialManager, 'authorize' | 'rejected' | 'suspectRejected'>;
  dispatcher: Dispatcher;
  upstreams: { chatgpt: UpstreamBase; openai: UpstreamBase };
  /** Asked at every request, because a reload may change them. */
  routes: () => readonly RouteRule[];
  traffic: Traffic;
  backendClock: Pick<BackendClock, 'observeResponse'>;
  /** Of the ChatGPT upstream; no other one gets any. */
  cookies: CloudflareCookies;
  tunnels: OpenTunnels;
  bodyBytes: number;
  replay: ReplayBudget;
  maxConnections: number | null;
  isDraining: () => boolean;
}

/** One proxied request on its way. */
export interface ProxiedRequest {
  request: InboundRequest;
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
