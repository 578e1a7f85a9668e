import { readFileSync, writeFileSync } from 'node:fs';
import { plot } from './plot.ts';
import type { Report } from './report.ts';
import { markdown } from './table.ts';

const FOLDER = 'bench';
const BEGIN = '<!-- results: written by npm run bench -->';
const END = '<!-- end of results -->';

/** Writes `results.json`, `results.svg` and the table in the README. */
export function writeReport(report: Report): void {
  const samples = (_key: string, value: unknown) =>
    typeof value === 'number' ? Number(value.toPrecision(5)) : value;
  writeFileSync(`${FOLDER}/results.json`, `${JSON.stringify(report, samples, 1)}\n`);
  writeFileSync(`${FOLDER}/results.svg`, plot(report));
  const file = `${FOLDER}/README.md`;
  const text = readFileSync(file, 'utf8');
  const [from, to] = [text.indexOf(BEGIN), text.indexOf(END)];
  if (from === -1 || to < from) throw new Error(`${file} has lost its markers`);
  const head = text.slice(0, from + BEGIN.length);
  writeFileSync(file, `${head}\n\n${markdown(report)}\n\n${text.slice(to)}`);
}
