import type { Target } from '../protocol.ts';

/** What stands between the load and the upstream. */
export interface Peer {
  name: PeerName;
  /** What it is, for the report: program and version. */
  description: string;
  /** Text that the upstream must find in `authorization`; null where nothing is injected. */
  credential: string | null;
  /** Whether it can pass on an upgrade. */
  upgrades: boolean;
  /** Whether it can ask an upstream over TLS; all others take part in plain http alone. */
  speaksTls: boolean;
  /** Whether it runs on Node, which compiles what is used often. */
  isNode?: true;
  start(place: Place): Promise<RunningPeer>;
}

export type PeerName =
  | 'direct'
  | 'nginx'
  | 'codex'
  | 'bare-node'
  | 'http-proxy'
  | 'fastify-floor'
  | 'sidecar'
  | 'sidecar-cafile'
  | 'sidecar-unread'
  | 'baseline'
  /** The sidecar on another Node; the rest of the name is its version. */
  | `node-${string}`;

/** Where a peer runs. */
export interface Place {
  upstreamPort: number;
  /** File of the certificate of an upstream with TLS; null: it speaks plain http. */
  caFile: string | null;
  /** A folder for its files. */
  folder: string;
}

export function originOf({ upstreamPort, caFile }: Place): string {
  return `${caFile === null ? 'http' : 'https'}://127.0.0.1:${upstreamPort}`;
}

export interface RunningPeer {
  target: Target;
  /** Process that does the work; null for none. */
  pid: number | null;
  stop(): Promise<void>;
}

/** A peer that this machine does not have. */
export interface MissingPeer {
  name: PeerName;
  reason: string;
}
