import t from 'tap';
import { SidecarError } from '../../src/base/errors.ts';
import { createLogger } from '../../src/base/logger.ts';
import { captureLog } from '../helpers/captured-log.ts';

const HUSH = 'hush-hush';

t.test('a level is a word, or the number that pino has for it', async (t) => {
  const lines: string[] = [];
  const destination = { write: (line: string) => void lines.push(line) };
  for (const levelNames of ['words', 'numbers'] as const) {
    const log = createLogger({ level: 'trace', levelNames, destination });
    log.info('a');
    log.child({ of: 'a child' }).fatal('b');
  }
  const levels = lines.map((line) => JSON.parse(line).level);
  t.strictSame(levels, ['info', 'fatal', 30, 60]);
});

t.test('a request is its method and path', async (t) => {
  const { log, entries, text } = captureLog();
  const headers = { authorization: HUSH, cookie: HUSH };
  log.info({ req: { method: 'GET', url: `/path?token=${HUSH}?${HUSH}`, headers } }, 'request');
  t.strictSame(entries()[0]?.req, { method: 'GET', path: '/path' });
  t.notOk(text().includes(HUSH));
});

t.test('an answer is its status', async (t) => {
  const { log, entries, text } = captureLog();
  log.info({ res: { statusCode: 204, getHeaders: () => ({ 'set-cookie': HUSH }) } });
  t.strictSame(entries()[0]?.res, { status: 204 });
  t.notOk(text().includes(HUSH));
});

t.test('an error is its type, message, code and the message of its cause', async (t) => {
  const { log, entries, text } = captureLog('info');
  const cause = Object.assign(new Error('why'), { request: HUSH });
  const error = new SidecarError('AUTH_DRAINING', 'what', { cause });
  log.warn({ err: Object.assign(error, { options: { headers: { authorization: HUSH } } }) });
  t.strictSame(entries()[0]?.err, {
    type: 'SidecarError',
    message: 'what',
    code: 'AUTH_DRAINING',
    cause: 'why',
  });
  t.notOk(text().includes(HUSH));
});

t.test('the same when the error is the only argument', async (t) => {
  const { log, text, entries } = captureLog('info');
  log.error(Object.assign(new Error('what'), { headers: { authorization: HUSH }, code: 7 }));
  t.strictSame(entries()[0]?.err, { type: 'Error', message: 'what' });
  t.notOk(text().includes(HUSH));
});

t.test('what was thrown without being an error is told as text', async (t) => {
  const { log, entries } = captureLog();
  log.warn({ err: 'plain' });
  t.strictSame(entries()[0]?.err, { message: 'plain' });
});

t.test('stacks come at debug and trace only', async (t) => {
  for (const [level, shown] of [
    ['warn', false],
    ['info', false],
    ['debug', true],
    ['trace', true],
  ] as const) {
    const { log, entries } = captureLog(level);
    log.warn({ err: new Error('what') });
    t.equal('stack' in Object(entries()[0]?.err), shown, level);
  }
});

t.test('an authorization header is redacted wherever headers are logged', async (t) => {
  const { log, text } = captureLog();
  log.info({ headers: { authorization: HUSH } });
  log.info({ upstream: { headers: { authorization: HUSH } } });
  t.notOk(text().includes(HUSH));
});

t.test('lines hold the time in ISO form, and neither process id nor host name', async (t) => {
  const { log, entries } = captureLog();
  log.info('hello');
  t.strictSame(Object.keys(entries()[0] ?? {}), ['level', 'time', 'msg']);
  t.match(String(entries()[0]?.time), /^\d{4}-\d\d-\d\dT[\d:.]+Z$/);
});

t.test('the level is the least severe one that is written', async (t) => {
  const { log, entries } = captureLog('warn');
  log.info('no');
  log.warn('yes');
  t.strictSame(
    entries().map((entry) => entry.msg),
    ['yes'],
  );
});
