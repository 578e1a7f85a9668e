import t from 'tap';
import {
  ExchangeLog,
  type ExchangeRecord,
  type OpenExchange,
} from '../../src/telemetry/exchange-record.ts';

/** A log whose monotonic clock stands where the test puts it. */
function startLog() {
  const time = { ms: 1_000 };
  const records: ExchangeRecord[] = [];
  const exchangeLog = new ExchangeLog(
    () => 5_000_000,
    () => time.ms,
  );
  exchangeLog.add((record) => records.push(record));
  return { time, records, exchangeLog };
}

t.test('tells the time of the upstream from what was added', async (t) => {
  const { time, exchangeLog } = startLog();
  const exchange = exchangeLog.begin('POST', false);
  time.ms += 3;
  exchange.sent();
  time.ms += 100;
  exchange.answered();
  // A refused credential is mended here, then the request goes up once more.
  time.ms += 20;
  exchange.sent();
  time.ms += 200;
  exchange.begun();
  time.ms += 1_000;
  exchangeLog.finish(exchange, true);
  t.match(exchange, { upstreamMs: 300, firstByteMs: 323, durationMs: 1_323 });
  t.equal(exchange.startedAt, 5_000_000 - 1_323);
});

t.test('counts bytes of the body up to the end', async (t) => {
  const { exchangeLog } = startLog();
  const exchange = exchangeLog.begin('POST', false);
  t.equal(exchange.bytesUp, 0);
  const body = { size: 1 };
  exchange.body = body;
  body.size = 7;
  t.equal(exchange.bytesUp, 7);
});

t.test('says how an exchange ended', async (t) => {
  const cases: [string, boolean, (exchange: OpenExchange, exchangeLog: ExchangeLog) => void][] = [
    ['complete', true, () => undefined],
    ['clientGone', false, () => undefined],
    ['upstreamCut', false, (exchange) => Object.assign(exchange, { ending: 'upstreamCut' })],
    ['shutdown', false, (_, exchangeLog) => Object.assign(exchangeLog, { shuttingDown: true })],
    ['complete', true, (_, exchangeLog) => Object.assign(exchangeLog, { shuttingDown: true })],
  ];
  for (const [outcome, whole, prepare] of cases) {
    const { exchangeLog, records } = startLog();
    const exchange = exchangeLog.begin('GET', false);
    prepare(exchange, exchangeLog);
    exchangeLog.finish(exchange, whole);
    t.equal(records[0]?.outcome, outcome);
  }
});

t.test('a joined socket that a shutdown cuts did not end by itself', async (t) => {
  const { exchangeLog } = startLog();
  const exchange = exchangeLog.begin('GET', true);
  exchange.status = 101;
  exchange.ending = 'complete';
  exchangeLog.shuttingDown = true;
  exchangeLog.finish(exchange, false);
  t.equal(exchange.outcome, 'shutdown');
});
