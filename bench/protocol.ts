/** Where a request goes: always loopback. */
export interface Target {
  port: number;
  path: string;
  /** Of the client; a peer that asks for none gets one that nobody knows. */
  token?: string;
}

/** What the upstream responds with, ordered by the client in one header that every proxy passes on. */
export type ResponseKind =
  /** A small JSON body with its length. */
  | 'json'
  /** JSON that tells what arrived; for checking a peer before it is measured. */
  | 'echo'
  /** Server-sent events, written at once. */
  | `burst ${number}`
  /** Server-sent events, each after a pause in milliseconds: `paced COUNT PAUSE`. */
  | `paced ${number} ${number}`
  /** The same, and then the event that ends a turn and tells its usage. */
  | `burst-turn ${number}`
  | `paced-turn ${number} ${number}`;

export const RESPONSE_HEADER = 'x-bench-response';

/** Bytes of a request body: what Codex sends for a one-word prompt. */
export const BODY_BYTES = 38 * 1024;
/** Bytes of a message that begins a turn on a WebSocket. */
export const MESSAGE_BYTES = 40 * 1024;
/** Events that end such a turn. */
export const TURN_EVENTS = 500;

/** What the load generator is asked to do; one job at a time. */
export type Job =
  | { kind: 'probe'; target: Target; response: ResponseKind }
  /** Requests back to back on kept connections, for a time; at all targets at once. */
  | {
      kind: 'requests';
      targets: Target[];
      response: ResponseKind;
      connections: number;
      seconds: number;
    }
  /** Streams at each target at once, opened evenly over `rampMs`, each read to its end. */
  | { kind: 'streams'; targets: Target[]; response: ResponseKind; streams: number; rampMs: number }
  /** WebSockets with turns back to back, for a time. */
  | ({ kind: 'sockets'; target: Target; sockets: number; seconds: number } & SocketOptions)
  /** Opens streams evenly over `rampMs`, beside those that are open, and leaves them open. */
  | { kind: 'hold'; target: Target; response: ResponseKind; streams: number; rampMs: number }
  /** Closes what is held, and fails if any of it ended before. */
  | { kind: 'release' }
  /** One large request body. */
  | { kind: 'upload'; target: Target; bytes: number };

export interface SocketOptions {
  /** Offers permessage-deflate; default false. */
  deflate?: boolean;
  /** Milliseconds between the events of a turn; default 0. */
  pauseMs?: number;
}

export const PAUSE_HEADER = 'x-bench-pause';

export interface ProbeResult {
  status: number;
  head: string;
  body: string;
}

export interface RequestsResult {
  requests: number;
  seconds: number;
  /** Latencies in microseconds. */
  p50: number;
  p99: number;
}

export interface StreamsResult {
  events: number;
  seconds: number;
  /** From the last byte of the request to the first of the response, microseconds. */
  firstByteP50: number;
  firstByteP99: number;
  firstByteMax: number;
  /** From the upstream's write of an event to its arrival, microseconds. */
  delayP50: number;
  delayP99: number;
}

export interface SocketsResult {
  messages: number;
  seconds: number;
}

export interface HoldResult {
  /** All that are open now. */
  held: number;
}

/** What the upstream writes to its parent when that sends it anything. */
export interface UpstreamCounts {
  /** Streams in which an event follows another. */
  streams: number;
  /** Events that were written to such streams, ever. */
  events: number;
}

export interface UploadResult {
  seconds: number;
}

export interface Results {
  probe: ProbeResult;
  /** One for each target. */
  requests: RequestsResult[];
  /** One for each target. */
  streams: StreamsResult[];
  sockets: SocketsResult;
  hold: HoldResult;
  release: HoldResult;
  upload: UploadResult;
}

export type JobOf<K extends Job['kind']> = Extract<Job, { kind: K }>;

/** Microseconds of the clock that all processes of one machine share. */
export function nowMicros(): number {
  return Number(process.hrtime.bigint() / 1000n);
}

/** @param sorted ascending */
export function quantile(sorted: ArrayLike<number>, q: number): number {
  const at = Math.min(sorted.length - 1, Math.max(0, Math.ceil(q * sorted.length) - 1));
  return sorted[at] ?? Number.NaN;
}
