import t from 'tap';
import { monotonicClock } from '../../src/base/clock.ts';
import { DescriptorWatch } from '../../src/inbound/descriptors.ts';
import { PendingResponses } from '../../src/inbound/pending-responses.ts';
import { createHttpServer } from '../../src/inbound/server.ts';
import { ExchangeLog } from '../../src/telemetry/exchange-record.ts';
import { captureLog } from '../helpers/captured-log.ts';

t.test('what Fastify has to say of a request is logged', async (t) => {
  const captured = captureLog();
  const app = createHttpServer({
    log: captured.log,
    pendingResponses: new PendingResponses(),
    exchangeLog: new ExchangeLog(Date.now, Date.now),
    descriptors: new DescriptorWatch(null, monotonicClock, captured.log),
    tls: null,
  });
  t.teardown(() => app.close());
  app.get('/twice', (_request, reply) => {
    reply.send('once');
    reply.send('twice');
  });
  const { body } = await app.inject('/twice');
  t.equal(body, 'once');
  t.match(captured.text(), /FST_ERR_REP_ALREADY_SENT/);
  t.notMatch(captured.text(), /incoming request/);
});

t.test('an answer that cannot be written ends nothing but itself', async (t) => {
  const captured = captureLog();
  const app = createHttpServer({
    log: captured.log,
    pendingResponses: new PendingResponses(),
    exchangeLog: new ExchangeLog(Date.now, Date.now),
    descriptors: new DescriptorWatch(null, monotonicClock, captured.log),
    tls: null,
  });
  t.teardown(() => app.close());
  const failed = new Promise<void>((resolve) => {
    app.get('/late', (_request, reply) => {
      reply.hijack();
      reply.raw.end('done');
      // Twice, for the second must not be the end either.
      reply.raw.write('late');
      reply.raw.write('later');
      setImmediate(resolve);
    });
  });
  const url = await app.listen({ host: '127.0.0.1', port: 0 });
  t.equal(await (await fetch(`${url}/late`)).text(), 'done');
  await failed;
  t.strictSame(captured.warnings(), Array(2).fill('a response could not be written'));
});
