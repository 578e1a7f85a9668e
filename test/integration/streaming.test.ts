import t from 'tap';
import { dialTcp, open, readUntil } from '../helpers/exchange.ts';
import { RESPONSES, startSidecarInFrontOf } from '../helpers/sidecar.ts';
import { startUpstream } from '../helpers/upstream.ts';

t.test('headers and each event reach the client as they come', async (t) => {
  const upstream = await startUpstream(t);
  const { url } = await startSidecarInFrontOf(t, upstream.origin);
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
  const { url } = await startSidecarInFrontOf(t, upstream.origin);
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

t.test('events that came with one packet go on as one chunk', async (t) => {
  const upstream = await startUpstream(t);
  const { port } = await startSidecarInFrontOf(t, upstream.origin);
  const client = await dialTcp(t, port);
  client.write(`POST ${RESPONSES} HTTP/1.1\r\nhost: 127.0.0.1\r\ncontent-length: 2\r\n\r\n{}`);
  const { response } = await upstream.next();
  const events = Array.from({ length: 100 }, (_, i) => `data: ${i}\n\n`);
  // What is written within a turn of the loop is one packet, but a chunk for each event.
  for (const event of events) response.write(event);
  response.end();
  const answer = await readUntil(client, '\r\n0\r\n\r\n');
  const whole = events.join('');
  t.match(answer, `\r\n\r\n${whole.length.toString(16)}\r\n${whole}\r\n0\r\n\r\n`);
});

t.test(
  'a later packet of events goes on as one packet, and the first event of it at once',
  async (t) => {
    const upstream = await startUpstream(t);
    const { port } = await startSidecarInFrontOf(t, upstream.origin);
    const client = await dialTcp(t, port);
    client.write(`POST ${RESPONSES} HTTP/1.1\r\nhost: 127.0.0.1\r\ncontent-length: 2\r\n\r\n{}`);
    const { response } = await upstream.next();
    response.write('begin');
    await readUntil(client, 'begin\r\n');
    const events = Array.from({ length: 100 }, (_, i) => `data: ${i}\n\n`);
    for (const event of events) response.write(event);
    response.end();
    const rest = events.slice(1).join('');
    const received = await readUntil(client, '\r\n0\r\n\r\n');
    t.ok(received.endsWith(`\r\n${rest.length.toString(16)}\r\n${rest}\r\n0\r\n\r\n`), received);
  },
);
