import { Measures, median, medianRatio, type Series } from '../measures.ts';
import type { Report } from './report.ts';
import { short } from './table.ts';

interface Row {
  text: string;
  workload: string;
  measure: string;
  /** Whose figure it is; absent: the sidecar's. */
  peer?: Series['peer'];
  /** What it is compared with, and in which words. */
  versus?: readonly [peer: Series['peer'], words: string];
}

const CODEX = ['codex', '`codex responses-api-proxy`'] as const;
const BARE = ['bare-node', 'a proxy on Node that does nothing'] as const;
const WITHOUT = ['direct', 'without the sidecar'] as const;

/** The figures that say how a sidecar does where it is deployed: the upstream speaks TLS, or is far away. */
const ROWS: readonly Row[] = [
  {
    text: 'requests a second, TLS to the upstream',
    ...{ workload: 'tls-a16', measure: 'throughput', versus: CODEX },
  },
  {
    text: 'the same with `upstream.caFile`',
    ...{ workload: 'tls-a16', measure: 'throughput', peer: 'sidecar-cafile' },
    versus: ['sidecar', 'without it'],
  },
  {
    text: 'processor time of such a request',
    ...{ workload: 'tls-a16', measure: 'cpu', versus: BARE },
  },
  {
    text: 'an upstream 40 ms away, a program that has just started: its first byte',
    ...{ workload: 'distance-40', measure: 'first byte', versus: WITHOUT },
  },
  {
    text: 'the same for a WebSocket',
    ...{ workload: 'distance-40', measure: 'first byte of an upgrade', versus: WITHOUT },
  },
  {
    text: 'the same after a minute without a request',
    ...{ workload: 'distance-40', measure: 'first byte after 60 s', versus: WITHOUT },
  },
  {
    text: '1,000 streams open: processor time of one event',
    ...{ workload: 'curve-1000', measure: 'cpu', versus: BARE },
  },
  { text: 'memory of one more stream', workload: 'curve', measure: 'memory slope', versus: CODEX },
  { text: 'memory at rest', workload: 'g', measure: 'idle memory', versus: CODEX },
  { text: 'from start to listening', workload: 'f', measure: 'listening' },
];

/** The table of the project's README. */
export function summary(report: Report): string {
  const measures = new Measures(report.series);
  return [
    `Medians on ${report.machine.replace(/, [^,]*$/, '')}, ${report.date}. Requests are 38 KB, 16 at a time.`,
    '',
    '| | | compared |',
    '| --- | --- | --- |',
    ...ROWS.map((row) => `| ${cells(row, measures).join(' | ')} |`),
  ].join('\n');
}

function cells({ text, workload, measure, peer = 'sidecar', versus }: Row, measures: Measures) {
  const own = measures.find(workload, measure, peer);
  if (!own) return [text, 'not measured', ''];
  const unit = own.unit.replace(/\/.*/, '').replace('req', '');
  const other = versus && measures.find(workload, measure, versus[0]);
  const ratio = other ? `${short(medianRatio(own, other))} × ${versus[1]}` : '';
  return [text, `${short(median(own.samples))} ${unit}`.trim(), ratio];
}
