import { readFileSync, writeFileSync } from 'node:fs';
import { plot } from './plot.ts';
import type { Report } from './report.ts';
import { summary } from './summary.ts';
import { markdown } from './table.ts';

export const RESULTS = 'bench/results.json';
const BEGIN = '<!-- results: written by npm run bench -->';
const END = '<!-- end of results -->';

/** Writes `results.json`, and from that file everything that shows its figures. */
export function writeReport(report: Report): void {
  const samples = (_key: string, value: unknown) =>
    typeof value === 'number' ? Number(value.toPrecision(5)) : value;
  writeFileSync(RESULTS, `${JSON.stringify(report, samples, 1)}\n`);
  writeDocuments();
}

/** Writes them anew from the figures that are there. */
export function writeDocuments(): void {
  for (const [file, text] of documents(readReport())) writeFileSync(file, text);
}

export function readReport(): Report {
  return JSON.parse(readFileSync(RESULTS, 'utf8')) as Report;
}

/** What the files that show figures must hold, by path. */
export function documents(report: Report): Map<string, string> {
  return new Map([
    ['bench/results.svg', plot(report)],
    ['bench/README.md', withBlock('bench/README.md', markdown(report))],
    ['README.md', withBlock('README.md', summary(report))],
  ]);
}

/** @returns the file with that text between its markers */
function withBlock(file: string, block: string): string {
  const text = readFileSync(file, 'utf8');
  const [from, to] = [text.indexOf(BEGIN), text.indexOf(END)];
  if (from === -1 || to < from) throw new Error(`${file} has lost its markers`);
  return `${text.slice(0, from + BEGIN.length)}\n\n${block}\n\n${text.slice(to)}`;
}
