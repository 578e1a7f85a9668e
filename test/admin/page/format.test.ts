import t from 'tap';
import {
  formatCount,
  formatMs,
  formatRate,
  formatSeconds,
  formatTime,
} from '../../../src/admin/page/format.ts';

t.test('spans of time', async (t) => {
  const cases: [number, string][] = [
    [-1, '0 s'],
    [0.9, '0 s'],
    [59, '59 s'],
    [60, '1 min 0 s'],
    [3_599, '59 min 59 s'],
    [18_720, '5 h 12 min'],
    [8 * 86_400 + 3 * 3_600, '8 d 3 h'],
  ];
  for (const [seconds, text] of cases) t.equal(formatSeconds(seconds), text);
});

t.test('milliseconds, rates, counts', async (t) => {
  t.strictSame([null, 0.4567, 9.94, 12.6, 1_234, 61_000].map(formatMs), [
    '–',
    '0.46 ms',
    '9.9 ms',
    '13 ms',
    '1.23 s',
    '61 s',
  ]);
  t.strictSame([0, 0.01, 0.25, 12.34].map(formatRate), ['0/s', '<0.1/s', '0.25/s', '12/s']);
  t.strictSame([0, 999, 1_000, 1_234_567].map(formatCount), [
    '0',
    '999',
    '1\u202f000',
    '1\u202f234\u202f567',
  ]);
});

t.test('times of day', async (t) => {
  t.match(formatTime('2026-11-20T21:30:36Z'), /^\d\d:\d\d:36$/);
  t.equal(formatTime(null), '–');
  t.equal(formatTime('nonsense'), '–');
});
