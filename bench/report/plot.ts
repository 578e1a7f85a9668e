import { median, type Series } from '../measures.ts';
import type { Report } from './report.ts';
import { short } from './table.ts';

const PANEL = { width: 420, row: 20, head: 46, gap: 22, label: 80, value: 74 };
const COLUMNS = 2;
const COLOURS: Record<string, string> = { sidecar: '#1f6feb', direct: '#b9c0c8' };
const OTHER = '#7d8590';

const PANELS: readonly (readonly [workload: string, measure: string])[] = [
  ['tls-a16', 'throughput'],
  ['tls-a16', 'cpu'],
  ['distance-40', 'first byte'],
  ['distance-40', 'first byte of an upgrade'],
  ['a16', 'throughput'],
  ['a1', 'p50'],
  ['a64', 'throughput'],
  ['b-burst', 'throughput'],
  ['b-paced', 'event delay p99'],
  ['c', 'first byte p99'],
  ['c', 'peak memory'],
  ['c', 'cpu'],
  ['d', 'throughput'],
  ['d', 'cpu'],
  ['curve-1000', 'cpu'],
  ['curve', 'memory slope'],
  ['f', 'listening'],
  ['g', 'idle memory'],
];

/** Bars of the medians, a panel a measure, with a line from the least to the largest round. */
export function plot(report: Report): string {
  const panels = PANELS.map(([workload, measure]) => ({
    title: report.titles[workload] ?? workload,
    measure,
    series: report.series.filter((one) => one.workload === workload && one.measure === measure),
  })).filter(({ series }) => series.length > 0);
  const most = Math.max(...panels.map(({ series }) => series.length));
  const height = PANEL.head + most * PANEL.row + PANEL.gap;
  const total = [COLUMNS * (PANEL.width + PANEL.gap), Math.ceil(panels.length / COLUMNS) * height];
  const drawn = panels.map(({ title, measure, series }, i) => {
    const x = (i % COLUMNS) * (PANEL.width + PANEL.gap) + PANEL.gap / 2;
    const y = Math.floor(i / COLUMNS) * height;
    return `<g transform="translate(${x} ${y})">${panel(title, measure, series)}</g>`;
  });
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${total.join(' ')}" font-family="sans-serif" font-size="11">
<title>Medians of the last run, with their spread</title>
<rect width="100%" height="100%" fill="#fff"/>
${drawn.join('\n')}
</svg>
`;
}

function panel(title: string, measure: string, series: readonly Series[]): string {
  const unit = series[0]?.unit ?? '';
  const largest = Math.max(...series.flatMap(({ samples }) => samples));
  const scale = (PANEL.width - PANEL.label - PANEL.value) / largest;
  const bars = series.map((one, i) => bar(one, PANEL.head + i * PANEL.row, scale));
  const name = `<text y="20" font-size="9">${escapeText(title)}</text>`;
  const what = `<text y="36" font-weight="bold">${escapeText(`${measure}, ${unit}`)}</text>`;
  return name + what + bars.join('');
}

function bar({ peer, samples }: Series, y: number, scale: number): string {
  const [least, middle, most] = [Math.min(...samples), median(samples), Math.max(...samples)];
  const x = (value: number) => (PANEL.label + value * scale).toFixed(1);
  const line = y + PANEL.row / 2 - 2;
  return [
    `<text x="${PANEL.label - 6}" y="${line + 4}" text-anchor="end">${peer}</text>`,
    `<rect x="${PANEL.label}" y="${y}" width="${(middle * scale).toFixed(1)}" height="${PANEL.row - 4}" fill="${COLOURS[peer] ?? OTHER}"/>`,
    `<path d="M${x(least)} ${line}H${x(most)}" stroke="#24292f"/>`,
    `<text x="${Number(x(most)) + 6}" y="${line + 4}">${short(middle)}</text>`,
  ].join('');
}

function escapeText(text: string): string {
  return text.replaceAll('&', '&amp;').replaceAll('<', '&lt;');
}
