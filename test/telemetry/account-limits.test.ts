import t from 'tap';
import {
  AccountLimits,
  limitsInEvent,
  limitsInHeaders,
} from '../../src/telemetry/account-limits.ts';

const NOW = Date.parse('2026-11-27T12:00:00Z');
const SOON = NOW / 1_000 + 600;

t.test('the headers of two limits, in any order, in the newer and the older form', async (t) => {
  const headers = {
    'content-type': 'text/event-stream',
    'x-codex-secondary-used-percent': '7',
    'x-codex-secondary-window-minutes': '10080',
    'x-codex-primary-reset-at': String(SOON),
    'x-codex-primary-window-minutes': '300',
    'x-codex-primary-used-percent': '12.5',
    'x-codex-plan-type': 'pro',
    'x-codex-night-shift-primary-used-percent': '90',
    'x-codex-night-shift-primary-reset-after-seconds': '60',
  };
  t.strictSame(limitsInHeaders(headers, NOW), [
    {
      limit: 'codex',
      primary: { usedPercent: 12.5, windowMinutes: 300, resetsAt: SOON * 1_000 },
      secondary: { usedPercent: 7, windowMinutes: 10080, resetsAt: null },
    },
    {
      limit: 'codex_night_shift',
      primary: { usedPercent: 90, windowMinutes: null, resetsAt: NOW + 60_000 },
      secondary: null,
    },
  ]);
});

t.test('headers that are no numbers, or tell nothing', async (t) => {
  const used = (value: unknown) => limitsInHeaders({ 'x-codex-primary-used-percent': value }, NOW);
  for (const value of ['', 'all', '-1', '1e3', 'NaN', '99999999', ['1', '2'], undefined]) {
    t.match(used(value), [{ primary: null, secondary: null }], String(value));
  }
  t.match(used('0'), [{ primary: null }], 'zero without window and reset');
  const zero = { 'x-codex-primary-used-percent': '0', 'x-codex-primary-window-minutes': '300' };
  t.match(limitsInHeaders(zero, NOW), [{ primary: { usedPercent: 0 } }]);
  t.strictSame(limitsInHeaders({ 'retry-after': '9' }, NOW), []);
});

t.test('events that tell nothing', async (t) => {
  for (const value of [undefined, null, 'x', [1], 7]) t.equal(limitsInEvent(value, null), null);
  t.match(limitsInEvent({ primary: { used_percent: '9' } }, 7), { limit: 'codex', primary: null });
  t.match(limitsInEvent({ primary: { used_percent: 9, reset_at: 'x' } }, 'Codex-Other'), {
    limit: 'codex_other',
    primary: { usedPercent: 9, resetsAt: null },
  });
});

t.test('what is shown: the last words, until the window has ended', async (t) => {
  let now = NOW;
  const limits = new AccountLimits(() => now);
  const report = (limit: string, usedPercent: number) =>
    limits.observe({
      limit,
      primary: { usedPercent, windowMinutes: 300, resetsAt: SOON * 1_000 },
      secondary: { usedPercent: 1, windowMinutes: null, resetsAt: null },
    });
  report('codex', 10);
  report('codex', 20);
  report('another', 5);
  report('not a name!', 5);
  t.match(
    limits.snapshot().map(({ limit, window, usedPercent }) => [limit, window, usedPercent]),
    [
      ['another', 'primary', 5],
      ['another', 'secondary', 1],
      ['codex', 'primary', 20],
      ['codex', 'secondary', 1],
    ],
  );
  t.match(limits.snapshot()[2], {
    resetsAt: '2026-11-27T12:10:00Z',
    seenAt: '2026-11-27T12:00:00Z',
  });
  now = SOON * 1_000;
  t.match(limits.snapshot()[2], { usedPercent: null, windowMinutes: 300 });
  t.equal(limits.snapshot()[3]?.usedPercent, 1);
  for (let i = 0; i < 50; i++) report(`limit_${i}`, 1);
  t.equal(limits.snapshot().length, 16);
  limits.forget();
  t.strictSame(limits.snapshot(), []);
});
