import t from 'tap';
import {
  barPath,
  begun,
  largest,
  latest,
  niceCeiling,
  stepPath,
} from '../../../src/admin/page/chart.ts';

t.test('axes end at round numbers', async (t) => {
  const cases: [number, number][] = [
    [0, 1],
    [0.03, 0.05],
    [1, 1],
    [1.01, 2],
    [4, 5],
    [51, 100],
    [0.2, 0.2],
  ];
  for (const [value, top] of cases) t.ok(Math.abs(niceCeiling(value) - top) < 1e-9, `${value}`);
});

t.test('bars stand on their bases', async (t) => {
  t.equal(barPath([1, 0], [], 2), 'M0.5 100v-50h299v50z');
  t.equal(barPath([0, 1], [0, 1], 2), 'M300.5 50v-50h299v50z');
});

t.test('a line breaks off where there is nothing', async (t) => {
  t.equal(stepPath([null, 1, 2, null, 2, null], 2), 'M100 50h100V0h100M400 0h100');
});

t.test('the largest and the newest value', async (t) => {
  t.equal(largest([null, 3, 1]), 3);
  t.equal(largest([]), 0);
  t.equal(latest([1, 2, null]), 2);
  t.equal(latest([null]), null);
});

t.test('a chart begins with what there is, and is never shorter than a minute', async (t) => {
  const steps = Array.from({ length: 120 }, (_, i) => i);
  t.strictSame(begun(steps, 0), steps);
  t.equal(begun(steps, 50)[0], 50);
  t.equal(begun(steps, 119).length, 12);
  t.equal(begun(steps, steps.length).length, 12, 'and nothing yet is a minute of nothing');
});
