import t from 'tap';
import {
  ExchangeLog,
  type ExchangeRecord,
  type OpenExchange,
} from '../../src/telemetry/exchange-record.ts';

/** An observer whose monotonic clock stands where the test puts it. */
function startObserver() {
  const time = { ms: 1_000 };
  const records: ExchangeRecord[] = [];
  const observer = new ExchangeLog(
    () => 5_000_000,
    () => time.ms,
  );
  observer.add((record) => records.push(record));
  return { time, records, observer };
}

t.test('tells the time of the upstream from what was added', async (t) => {
  const { time, observer } = startObserver();
  const observation = observer.begin('POST', false);
  time.ms += 3;
  observation.sent();
  time.ms += 100;
  observation.answered();
  // A refused credential is mended here, then the request goes up once more.
  time.ms += 20;
  observation.sent();
  time.ms += 200;
  observation.begun();
  time.ms += 1_000;
  observer.finish(observation, true);
  t.match(observation, { upstreamMs: 300, firstByteMs: 323, durationMs: 1_323 });
  t.equal(observation.startedAt, 5_000_000 - 1_323);
});

t.test('counts bytes of the body up to the end', async (t) => {
  const { observer } = startObserver();
  const observation = observer.begin('POST', false);
  t.equal(observation.bytesUp, 0);
  const body = { size: 1 };
  observation.body = body;
  body.size = 7;
  t.equal(observation.bytesUp, 7);
});

t.test('says how an exchange ended', async (t) => {
  const cases: [string, boolean, (observation: OpenExchange, observer: ExchangeLog) => void][] = [
    ['complete', true, () => undefined],
    ['clientGone', false, () => undefined],
    ['upstreamCut', false, (observation) => Object.assign(observation, { ending: 'upstreamCut' })],
    ['shutdown', false, (_, observer) => Object.assign(observer, { shuttingDown: true })],
    ['complete', true, (_, observer) => Object.assign(observer, { shuttingDown: true })],
  ];
  for (const [outcome, whole, prepare] of cases) {
    const { observer, records } = startObserver();
    const observation = observer.begin('GET', false);
    prepare(observation, observer);
    observer.finish(observation, whole);
    t.equal(records[0]?.outcome, outcome);
  }
});

t.test('a joined socket that a shutdown cuts did not end by itself', async (t) => {
  const { observer } = startObserver();
  const observation = observer.begin('GET', true);
  observation.status = 101;
  observation.ending = 'complete';
  observer.shuttingDown = true;
  observer.finish(observation, false);
  t.equal(observation.outcome, 'shutdown');
});
