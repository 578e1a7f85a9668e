import { readFileSync } from 'node:fs';
import t from 'tap';
import { documents, readReport } from '../../bench/report/write.ts';

t.test('the tables and bars show the figures of bench/results.json', (t) => {
  for (const [file, text] of documents(readReport())) {
    t.ok(readFileSync(file, 'utf8') === text, `${file}; if not, run: npm run bench:tables`);
  }
  t.end();
});

t.test('a figure that changes shows in every one of them', (t) => {
  const report = readReport();
  const before = documents(report);
  for (const one of report.series) one.samples = one.samples.map((sample) => sample * 2);
  for (const [file, text] of documents(report)) t.not(text, before.get(file), file);
  t.end();
});
