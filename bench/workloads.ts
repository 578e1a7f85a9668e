import { MEBIBYTE, type Usage } from './observe.ts';
import type { Peer } from './peers/peer.ts';
import type {
  Job,
  RequestsResult,
  SocketOptions,
  SocketsResult,
  StreamsResult,
  Target,
  UploadResult,
} from './protocol.ts';

/** Values with their units, by the name of the measure. */
export type Figures = Record<string, [number, string]>;

/** Work that every peer gets in turn, round by round. */
export interface Workload {
  id: string;
  title: string;
  /** Of each start of the peers. */
  rounds: number;
  /** Rounds before those that count. */
  warmUps: number;
  takes(peer: Peer): boolean;
  /** For one peer, or for all at once where `together` says so. */
  job(targets: Target[]): Job;
  together?: true;
  /** Peers go on for a while with what its clients have left behind. */
  lingers?: true;
  /** Not again with every start of the peers. */
  once?: true;
  /** Fresh processes, where memory counts: for the workload, or for each of its rounds. */
  fresh?: 'workload' | 'round';
  figures(result: never, usage: Usage | null): Figures;
}

const anyPeer = () => true;
/** The floor of a proxy on Node is told where a target depends on it. */
const notBare = ({ name }: Peer) => name !== 'bare-node' && name !== 'fastify-floor';
/** Short, so that many rounds fit in: a machine whose speed changes disturbs few of them. */
const SECONDS = 0.25;

export function requests(
  id: string,
  connections: number,
  rounds: number,
  { burst = false, takes = anyPeer }: { burst?: boolean; takes?: Workload['takes'] } = {},
): Workload {
  const response = burst ? 'burst 200' : 'json';
  const what = burst ? '200 SSE events at once' : 'small JSON';
  return {
    id,
    title: `POST 38 KB → ${what}, ${connections} connection${connections === 1 ? '' : 's'}`,
    rounds,
    warmUps: burst ? 1 : 0,
    takes,
    job: (targets) => ({
      kind: 'requests',
      targets,
      response,
      connections,
      seconds: SECONDS,
    }),
    figures: (result: RequestsResult, usage) => ({
      throughput: [result.requests / result.seconds, 'req/s'],
      p50: [result.p50, 'µs'],
      p99: [result.p99, 'µs'],
      ...(usage ? { cpu: [(usage.cpuSeconds / result.requests) * 1e6, 'µs/req'] } : {}),
    }),
  };
}

function streamFigures(result: StreamsResult, usage: Usage | null): Figures {
  return {
    'first byte p50': [result.firstByteP50, 'µs'],
    'first byte p99': [result.firstByteP99, 'µs'],
    'first byte max': [result.firstByteMax, 'µs'],
    'event delay p50': [result.delayP50, 'µs'],
    'event delay p99': [result.delayP99, 'µs'],
    ...(usage
      ? { cpu: [usage.cpuSeconds, 's'], 'peak memory': [usage.peakBytes / MEBIBYTE, 'MiB'] }
      : {}),
  };
}

function socketFigures(result: SocketsResult, usage: Usage | null): Figures {
  return {
    throughput: [result.messages / result.seconds, 'messages/s'],
    ...(usage ? { cpu: [(usage.cpuSeconds / result.messages) * 1e6, 'µs/message'] } : {}),
  };
}

export const WORKLOADS: readonly Workload[] = [
  requests('a1', 1, 3),
  requests('a16', 16, 8),
  requests('a64', 64, 2, { takes: notBare }),
  requests('b-burst', 16, 2, { burst: true, takes: notBare }),
  {
    id: 'b-paced',
    title: 'POST 38 KB → 200 SSE events, 20 a second, 16 streams, all peers at once',
    rounds: 1,
    warmUps: 0,
    once: true,
    takes: notBare,
    together: true,
    job: (targets) => ({
      kind: 'streams',
      targets,
      response: 'paced 200 50',
      streams: 16,
      rampMs: 200,
    }),
    figures: streamFigures,
  },
  {
    id: 'd',
    title: 'WebSocket turns: 40 KB up, 500 events down, 50 sockets',
    rounds: 2,
    warmUps: 1,
    takes: ({ upgrades }) => upgrades,
    lingers: true,
    job: ([target]) => ({
      kind: 'sockets',
      target: target as Target,
      sockets: 50,
      seconds: 1,
    }),
    figures: socketFigures,
  },
  {
    id: 'e',
    title: 'POST 20 MiB → small JSON, one connection',
    rounds: 3,
    warmUps: 0,
    once: true,
    fresh: 'round',
    takes: notBare,
    job: ([target]) => ({ kind: 'upload', target: target as Target, bytes: 20 * MEBIBYTE }),
    figures: (result: UploadResult, usage) => ({
      time: [result.seconds * 1e3, 'ms'],
      ...(usage
        ? { 'peak memory growth': [(usage.peakBytes - usage.residentBefore) / MEBIBYTE, 'MiB'] }
        : {}),
    }),
  },
  {
    id: 'c',
    title: '1,000 streams at once, 10 events a second each, opened within 1.5 seconds',
    rounds: 3,
    warmUps: 1,
    once: true,
    fresh: 'workload',
    lingers: true,
    // Its pool has 128 connections, so that the other streams would wait for these to end.
    takes: ({ name }) => name !== 'http-proxy',
    job: (targets) => ({
      kind: 'streams',
      targets,
      response: 'paced 25 100',
      streams: 1000,
      rampMs: 1500,
    }),
    figures: streamFigures,
  },
];

const OVER_TLS = ['a1', 'a16', 'b-burst', 'c', 'd'];

/** The same work with TLS to the upstream, as it is deployed. */
export const TLS_WORKLOADS: readonly Workload[] = WORKLOADS.filter(({ id }) =>
  OVER_TLS.includes(id),
).map((workload) => ({
  ...workload,
  id: `tls-${workload.id}`,
  title: `TLS upstream: ${workload.title}`,
  ...(workload.id.startsWith('a') ? { takes: anyPeer } : {}),
}));

/** Work that shows what it costs to read the usage: with the key on, and off. */
export const USAGE_WORKLOADS: readonly Workload[] = [
  {
    ...requests('u-burst', 16, 10, { burst: true }),
    title: 'turns of 200 SSE events at once and 30 KB at their end, 16 connections',
    takes: anyPeer,
    job: (targets) => ({
      kind: 'requests',
      targets,
      response: 'burst-turn 200',
      connections: 16,
      seconds: SECONDS,
    }),
  },
  {
    id: 'u-paced',
    title: 'turns of 40 SSE events, 20 a second, and 30 KB at their end, 200 streams',
    rounds: 2,
    warmUps: 1,
    takes: anyPeer,
    job: (targets) => ({
      kind: 'streams',
      targets,
      response: 'paced-turn 40 50',
      streams: 200,
      rampMs: 500,
    }),
    figures: streamFigures,
  },
  socketWork('u-sockets', '50 WebSockets as fast as they can', {}),
  socketWork('u-deflate', 'the same with permessage-deflate', { deflate: true }),
  socketWork('u-deflate-paced', '50 WebSockets with permessage-deflate, 50 events a second each', {
    deflate: true,
    pauseMs: 20,
  }),
];

function socketWork(id: string, what: string, options: SocketOptions): Workload {
  return {
    id,
    title: `WebSocket turns: 40 KB up, 500 events down, ${what}`,
    rounds: options.pauseMs ? 2 : 8,
    warmUps: options.pauseMs ? 1 : 3,
    takes: anyPeer,
    job: ([target]) => ({
      kind: 'sockets',
      target: target as Target,
      sockets: 50,
      seconds: options.pauseMs ? 3 : SECONDS,
      ...options,
    }),
    figures: socketFigures,
  };
}
