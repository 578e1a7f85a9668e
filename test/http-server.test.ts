import t from 'tap';
import { createHttpServer } from '../src/http-server.ts';
import { Observer } from '../src/observation.ts';
import { OpenAnswers } from '../src/open-answers.ts';
import { captureLog } from './helpers/captured-log.ts';

t.test('what Fastify has to say of a request is logged', async (t) => {
  const captured = captureLog();
  const app = createHttpServer(captured.log, new OpenAnswers(), new Observer(Date.now, Date.now));
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
