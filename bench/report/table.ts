import { Measures, median, medianRatio, type Series } from '../measures.ts';
import { judge, type Verdict } from '../targets.ts';
import type { Report } from './report.ts';

const PEERS: readonly Series['peer'][] = [
  'direct',
  'nginx',
  'codex',
  'bare-node',
  'http-proxy',
  'fastify-floor',
  'sidecar',
  'sidecar-cafile',
  'sidecar-unread',
  'baseline',
  'unbundled',
  'node',
];

const RATIO_NOTE = 'Columns with a ÷ hold the median of the ratios of the two, round by round.';

/** The whole report as Markdown. */
export function markdown(report: Report): string {
  const found = [...new Set(report.series.map(({ peer }) => peer))];
  // Other Nodes come last.
  const peers = [...PEERS.filter((peer) => found.includes(peer)), ...found.filter(isOtherNode)];
  return [
    `Machine: ${report.machine}. Run of ${report.date}, ${Math.round(report.seconds)} s.`,
    '',
    ...report.peers.map(({ name, description }) => `- \`${name}\`: ${description}`),
    ...report.missing.map(({ name, reason }) => `- \`${name}\` left out: ${reason}`),
    '',
    '| target | wanted | reached | | `bare-node` |',
    '| --- | --- | --- | --- | --- |',
    ...judge(new Measures(report.series)).map(verdictRow),
    '',
    'Medians of the rounds; the spread from the least to the largest in brackets.',
    '',
    ...(compared(peers).length > 0 ? [RATIO_NOTE, ''] : []),
    `| measure | ${columns(peers).join(' | ')} |`,
    `| --- |${' --- |'.repeat(columns(peers).length)}`,
    ...rows(report, peers),
  ].join('\n');
}

function verdictRow({ text, target, value, met, bare }: Verdict): string {
  const amount = (reached: number) => short(reached) + (target.endsWith('×') ? ' ×' : '');
  const cells = [text, target, value === null ? 'not measured' : amount(value)];
  const verdict = met === null ? '' : met ? 'met' : '**missed**';
  return `| ${[...cells, verdict, bare === null ? '' : amount(bare)].join(' | ')} |`;
}

function rows({ series, titles }: Report, peers: readonly Series['peer'][]): string[] {
  const keys = [
    ...new Set(series.map(({ workload, measure, unit }) => `${workload}\0${measure}\0${unit}`)),
  ];
  let last = '';
  return keys.flatMap((key) => {
    const [workload = '', measure = '', unit = ''] = key.split('\0');
    const find = (peer: Series['peer']) =>
      series.find(
        (one) => one.workload === workload && one.measure === measure && one.peer === peer,
      );
    const cells = peers.map((peer) => {
      const found = find(peer);
      return found ? cell(found.samples) : '';
    });
    cells.push(...compared(peers).map((other) => ratio(find('sidecar'), find(other))));
    const row = `| ${measure}, ${unit} | ${cells.join(' | ')} |`;
    if (workload === last) return [row];
    last = workload;
    return [`| **${titles[workload] ?? workload}** |${' |'.repeat(columns(peers).length)}`, row];
  });
}

/** Other builds of the sidecar, and the same on other Nodes. */
function compared(peers: readonly Series['peer'][]): Series['peer'][] {
  if (!peers.includes('sidecar')) return [];
  return peers.filter((peer) => peer === 'baseline' || isOtherNode(peer));
}

function isOtherNode(peer: Series['peer']): boolean {
  return peer.startsWith('node-');
}

function columns(peers: readonly Series['peer'][]): string[] {
  return [...peers, ...compared(peers).map((other) => `sidecar ÷ ${other}`)];
}

function ratio(a: Series | undefined, b: Series | undefined): string {
  return a && b ? medianRatio(a, b).toFixed(3) : '';
}

function cell(samples: readonly number[]): string {
  if (samples.length === 1) return short(median(samples));
  return `${short(median(samples))} (${short(Math.min(...samples))}–${short(Math.max(...samples))})`;
}

/** Three significant digits, without an exponent. */
export function short(value: number): string {
  const digits = value === 0 ? 0 : Math.floor(Math.log10(Math.abs(value)));
  if (digits >= 3) return Math.round(value).toLocaleString('en-US');
  return value.toFixed(Math.min(2, Math.max(0, 2 - digits)));
}
