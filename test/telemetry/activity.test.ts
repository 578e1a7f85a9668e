import t from 'tap';
import { Activity } from '../../src/telemetry/activity.ts';
import { exchangeRecord } from '../helpers/exchange-record.ts';

const START = Date.parse('2026-11-20T21:30:36.250Z');

function startActivity() {
  const time = { ms: START, setByMs: 0 };
  return {
    time,
    activity: new Activity(
      () => time.ms + time.setByMs,
      () => time.ms,
    ),
  };
}

t.test('steps move on with the clock, and old ones are forgotten', async (t) => {
  const { time, activity } = startActivity();
  activity.finished(exchangeRecord());
  time.ms += 5_000;
  activity.finished(exchangeRecord());
  activity.finished(exchangeRecord());
  let { requests, lastStepAt } = activity.snapshot();
  t.equal(requests.length, 120);
  t.strictSame(requests.slice(-3), [0, 1, 2]);
  t.equal(lastStepAt, '2026-11-20T21:30:40Z');
  time.ms += 119 * 5_000;
  ({ requests } = activity.snapshot());
  t.equal(requests[0], 2, 'ten minutes later it is about to go');
  time.ms += 3_600_000;
  t.strictSame(new Set(activity.snapshot().requests), new Set([0]));
  t.strictSame(new Set(activity.snapshot().medianMs), new Set([null]));
});

for (const setByMs of [-3_600_000, 3_600_000]) {
  t.test(`a clock that is set by ${setByMs} ms moves no step and loses none`, async (t) => {
    const { time, activity } = startActivity();
    activity.finished(exchangeRecord());
    time.setByMs = setByMs;
    activity.finished(exchangeRecord());
    t.equal(activity.snapshot().requests.at(-1), 2);
    time.ms += 5_000;
    activity.finished(exchangeRecord());
    t.strictSame(activity.snapshot().requests.slice(-2), [2, 1]);
  });
}

t.test('tells what was refused from what failed; own endpoints are no traffic', async (t) => {
  const { activity } = startActivity();
  activity.finished(exchangeRecord());
  activity.finished(exchangeRecord({ status: 404 }));
  activity.finished(exchangeRecord({ status: 502, code: 'UPSTREAM_TLS' }));
  activity.finished(exchangeRecord({ status: 200, outcome: 'upstreamCut' }));
  activity.finished(exchangeRecord({ status: null, outcome: 'clientGone' }));
  activity.finished(exchangeRecord({ kind: 'own' }));
  const { requests, refused, failed, byKind } = activity.snapshot();
  t.strictSame([requests.at(-1), refused.at(-1), failed.at(-1)], [5, 1, 2]);
  t.strictSame(byKind, {
    assertion: { '2xx': 2, '4xx': 1, '5xx': 1, none: 1 },
    own: { '2xx': 1 },
  });
});

t.test('quantiles of the time to the first byte, and of what was added', async (t) => {
  const { activity } = startActivity();
  for (let i = 1; i <= 100; i++) {
    activity.finished(exchangeRecord({ firstByteMs: i * 10, upstreamMs: i * 10 - 0.5 }));
  }
  const { medianMs, p95Ms, addedMs } = activity.snapshot();
  const near = (value: number | null | undefined, wanted: number) =>
    t.ok(value && Math.abs(value / wanted - 1) < 0.19, `${value} is about ${wanted}`);
  near(medianMs.at(-1), 500);
  near(p95Ms.at(-1), 950);
  near(addedMs.median, 0.5);
  near(addedMs.p95, 0.5);
});

t.test('refusals are few, short, and like ones count together', async (t) => {
  const { activity } = startActivity();
  for (let i = 0; i < 30; i++) {
    activity.finished(
      exchangeRecord({ path: `/${i}${'x'.repeat(500)}`, status: 403, code: 'AUTH_ROUTE_DENIED' }),
    );
  }
  for (let i = 0; i < 7; i++) activity.finished(exchangeRecord({ status: 429, client: 'agent-1' }));
  activity.finished(exchangeRecord({ status: 404 }));
  const { refusals } = activity.snapshot();
  t.equal(refusals.length, 10);
  t.strictSame(refusals[0], {
    at: '2026-11-20T21:30:36Z',
    count: 7,
    client: 'agent-1',
    method: 'POST',
    path: '/backend-api/codex/responses',
    status: 429,
    code: null,
  });
  t.equal(refusals[1]?.path?.length, 120);
  t.match(refusals[1]?.path, /^\/29x/);
});

t.test(
  'a refusal that comes again counts with the one before, whatever came between',
  async (t) => {
    const { activity } = startActivity();
    const [one, other] = ['/a', '/b'].map((path) =>
      exchangeRecord({ path, status: 403, code: 'AUTH_ROUTE_DENIED' }),
    );
    for (const record of [one, other, one, other, one]) if (record) activity.finished(record);
    const { refusals } = activity.snapshot();
    t.match(refusals, [
      { path: '/a', count: 3 },
      { path: '/b', count: 2 },
    ]);
  },
);

t.test('429 is counted apart from the other refusals', async (t) => {
  const { activity } = startActivity();
  for (const status of [400, 429, 404, 429, 429]) activity.finished(exchangeRecord({ status }));
  t.strictSame(Object.values(activity.snapshot().byKind), [{ '4xx': 2, '429': 3 }]);
});
