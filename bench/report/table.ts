import { median, type Series } from '../measures.ts';
import type { Verdict } from '../targets.ts';
import type { Report } from './report.ts';

const PEERS: readonly Series['peer'][] = [
  'direct',
  'nginx',
  'codex',
  'bare-node',
  'http-proxy',
  'sidecar',
  'baseline',
  'node',
];

/** The whole report as Markdown. */
export function markdown(report: Report): string {
  const peers = PEERS.filter((peer) => report.series.some((one) => one.peer === peer));
  return [
    `Machine: ${report.machine}. Run of ${report.date}, ${Math.round(report.seconds)} s.`,
    '',
    ...report.peers.map(({ name, description }) => `- \`${name}\`: ${description}`),
    ...report.missing.map(({ name, reason }) => `- \`${name}\` left out: ${reason}`),
    '',
    '| target | wanted | reached | | `bare-node` |',
    '| --- | --- | --- | --- | --- |',
    ...report.verdicts.map(verdictRow),
    '',
    'Medians of the rounds; the spread from the least to the largest in brackets.',
    '',
    `| measure | ${peers.join(' | ')} |`,
    `| --- |${' --- |'.repeat(peers.length)}`,
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
    const cells = peers.map((peer) => {
      const found = series.find(
        (one) => one.workload === workload && one.measure === measure && one.peer === peer,
      );
      return found ? cell(found.samples) : '';
    });
    const row = `| ${measure}, ${unit} | ${cells.join(' | ')} |`;
    if (workload === last) return [row];
    last = workload;
    return [`| **${titles[workload] ?? workload}** |${' |'.repeat(peers.length)}`, row];
  });
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
