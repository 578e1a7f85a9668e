import t from 'tap';
import { open } from '../helpers/exchange.ts';
import { RESPONSES, startInFrontOf } from '../helpers/stack.ts';
import { startUpstream } from '../helpers/upstream.ts';

t.test('headers and each event reach the client as they come', async (t) => {
  const upstream = await startUpstream(t);
  const { url } = await startInFrontOf(t, upstream.origin);
  const call = open(url + RESPONSES, { method: 'POST', body: '{}' });
  call.request.end('{}');
  const { response } = await upstream.next();
  response.writeHead(200, { 'content-type': 'text/event-stream' });
  response.flushHeaders();
  const received = await call.response;
  t.equal(received.headers['content-type'], 'text/event-stream', 'headers before any event');
  const events = received[Symbol.asyncIterator]();
  for (let i = 1; i <= 5; i++) {
    response.write(`event: n\ndata: ${i}\n\n`);
    // The next one is not sent before this one has arrived.
    t.equal(String((await events.next()).value), `event: n\ndata: ${i}\n\n`);
  }
  response.end();
  t.equal((await events.next()).done, true);
});

t.test('an answer may begin while the request is still being sent', async (t) => {
  const upstream = await startUpstream(t);
  const { url } = await startInFrontOf(t, upstream.origin);
  const call = open(url + RESPONSES, { method: 'POST' });
  call.request.write('one');
  const { request, response } = await upstream.next();
  response.write('first');
  const received = await call.response;
  const chunks = received[Symbol.asyncIterator]();
  t.equal(String((await chunks.next()).value), 'first');
  call.request.end('two');
  for await (const _chunk of request);
  response.end('second');
  t.equal(String((await chunks.next()).value), 'second');
});
