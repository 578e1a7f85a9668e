import { type Measures, median, medianRatio, type Series } from './measures.ts';

/** What the sidecar is held to: a ratio to something in the same run, or an amount. */
export interface Target {
  text: string;
  workload: string;
  measure: string;
  /** Whose figure it is; absent: the sidecar's. */
  peer?: Series['peer'];
  /** null: the amount itself. */
  versus: { peer: Series['peer']; measure?: string } | null;
  atLeast?: number;
  atMost?: number;
}

export interface Verdict {
  text: string;
  target: string;
  /** null where a peer is missing. */
  value: number | null;
  met: boolean | null;
  /** The same of a proxy on Node that does nothing else; null where that was not measured. */
  bare: number | null;
}

export const TARGETS: readonly Target[] = [
  {
    text: 'TLS upstream, (a16): throughput vs codex',
    workload: 'tls-a16',
    measure: 'throughput',
    versus: { peer: 'codex' },
    atLeast: 1.35,
  },
  {
    text: 'TLS upstream, (a16): processor time vs bare-node',
    workload: 'tls-a16',
    measure: 'cpu',
    versus: { peer: 'bare-node' },
    atMost: 1.2,
  },
  {
    text: 'TLS upstream, (a16): throughput with caFile, vs without',
    workload: 'tls-a16',
    measure: 'throughput',
    peer: 'sidecar-cafile',
    versus: { peer: 'sidecar' },
    atLeast: 0.97,
  },
  ...['first byte', 'first byte of an upgrade', 'first byte after 60 s'].map(
    (measure): Target => ({
      text: `40 ms away: ${measure}, a client that has just started vs without us`,
      workload: 'distance-40',
      measure,
      versus: { peer: 'direct' },
      atMost: 0.6,
    }),
  ),
  {
    text: '(a16): processor time vs bare-node',
    workload: 'a16',
    measure: 'cpu',
    versus: { peer: 'bare-node' },
    atMost: 1.2,
  },
  {
    text: '(a) throughput at 16 connections vs codex',
    workload: 'a16',
    measure: 'throughput',
    versus: { peer: 'codex' },
    atLeast: 1.35,
  },
  {
    text: '(a) p50 at 1 connection vs codex',
    workload: 'a1',
    measure: 'p50',
    versus: { peer: 'codex' },
    atMost: 0.75,
  },
  {
    text: '(a) throughput at 16 connections vs nginx, one worker',
    workload: 'a16',
    measure: 'throughput',
    versus: { peer: 'nginx' },
    atLeast: 0.5,
  },
  {
    text: '(a) throughput at 16 connections vs plain http-proxy',
    workload: 'a16',
    measure: 'throughput',
    versus: { peer: 'http-proxy' },
    atLeast: 1.15,
  },
  {
    text: '(c) first byte p99 vs bare-node',
    workload: 'c',
    measure: 'first byte p99',
    versus: { peer: 'bare-node' },
    atMost: 1.5,
  },
  {
    text: 'one event of a stream, 1,000 open: processor time vs bare-node',
    workload: 'curve-1000',
    measure: 'cpu',
    versus: { peer: 'bare-node' },
    atMost: 1.1,
  },
  {
    text: 'memory an open stream (slope from 1,000 to 3,000), KiB',
    workload: 'curve',
    measure: 'memory slope',
    versus: null,
    atMost: 60,
  },
  {
    text: '(c) peak memory vs codex',
    workload: 'c',
    measure: 'peak memory',
    versus: { peer: 'codex' },
    atMost: 1.2,
  },
  {
    text: '(c) peak memory, MiB',
    workload: 'c',
    measure: 'peak memory',
    versus: null,
    atMost: 160,
  },
  {
    text: '(d) messages a second vs direct',
    workload: 'd',
    measure: 'throughput',
    versus: { peer: 'direct' },
    atLeast: 0.9,
  },
  {
    text: '(e) peak memory growth, MiB (replay limit + 16)',
    workload: 'e',
    measure: 'peak memory growth',
    versus: null,
    atMost: 32,
  },
  {
    text: '(f) start to listening vs `node -e 0`',
    workload: 'f',
    measure: 'listening',
    versus: { peer: 'node', measure: 'node -e 0' },
    atMost: 6,
  },
  {
    text: '(f) start to listening vs the unbundled build',
    workload: 'f',
    measure: 'listening',
    versus: { peer: 'unbundled' },
    atMost: 0.6,
  },
  ...['u-burst', 'u-paced', 'u-sockets', 'u-deflate', 'u-deflate-paced'].map(
    (workload): Target => ({
      text: `(${workload}): processor time with usage read, vs without`,
      workload,
      measure: 'cpu',
      versus: { peer: 'sidecar-unread' },
      atMost: 1.03,
    }),
  ),
  { text: '(g) idle memory, MiB', workload: 'g', measure: 'idle memory', versus: null, atMost: 60 },
  {
    text: '(h) credential path, same second, µs',
    workload: 'h',
    measure: 'same second',
    versus: null,
    atMost: 5,
  },
  {
    text: '(h) credential path, new second, µs',
    workload: 'h',
    measure: 'new second',
    versus: null,
    atMost: 60,
  },
];

export function judge(measures: Measures): Verdict[] {
  return TARGETS.map((target) => {
    const value = reached(target, target.peer ?? 'sidecar', measures);
    const bare = target.peer ? null : reached(target, 'bare-node', measures);
    const { text, atLeast, atMost } = target;
    const met =
      value === null ? null : value >= (atLeast ?? -Infinity) && value <= (atMost ?? Infinity);
    const bound = atLeast === undefined ? `≤ ${atMost}` : `≥ ${atLeast}`;
    return { text, target: target.versus ? `${bound} ×` : bound, value, met, bare };
  });
}

function reached(
  { workload, measure, versus }: Target,
  peer: Series['peer'],
  measures: Measures,
): number | null {
  const own = measures.find(workload, measure, peer);
  if (!own) return null;
  if (versus === null) return median(own.samples);
  const other = measures.find(workload, versus.measure ?? measure, versus.peer);
  return other ? medianRatio(own, other) : null;
}
