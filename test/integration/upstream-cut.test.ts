import { once } from 'node:events';
import t from 'tap';
import { breakOf, dialTcp, open, readAll, readUntil, send } from '../helpers/exchange.ts';
import { MODELS, RESPONSES, startSidecarInFrontOf } from '../helpers/sidecar.ts';
import { untilStatus } from '../helpers/until-status.ts';
import { startTcpUpstream, startUpstream } from '../helpers/upstream.ts';

for (const [framing, headers] of [
  ['chunked', {}],
  ['content-length', { 'content-length': 100 }],
] as const) {
  for (const how of ['destroy', 'resetAndDestroy'] as const) {
    t.test(`a ${framing} answer cut by ${how} does not look complete`, async (t) => {
      const upstream = await startUpstream(t);
      const { url } = await startSidecarInFrontOf(t, upstream.origin);
      const call = open(url + RESPONSES, { method: 'POST' });
      call.request.end('{}');
      const { request, response } = await upstream.next();
      response.writeHead(200, headers).write('data: 1\n\n');
      const received = await call.response;
      received.once('data', () => request.socket[how]());
      t.equal(await breakOf(received), 'ECONNRESET');
      await untilStatus(url, ({ connections }) => connections.http === 0);
    });
  }
}

t.test('the last chunk is not made up', async (t) => {
  const upstream = await startUpstream(t);
  const { port } = await startSidecarInFrontOf(t, upstream.origin);
  const client = await dialTcp(t, port);
  client.write(`GET ${MODELS} HTTP/1.1\r\nhost: localhost\r\n\r\n`);
  const { request, response } = await upstream.next();
  response.write('abc');
  await readUntil(client, '3\r\nabc\r\n');
  request.socket.destroy();
  t.equal((await readAll(client)).toString(), '');
});

t.test('a broken chunk cuts the answer too', async (t) => {
  const upstream = await startTcpUpstream(t);
  const { url } = await startSidecarInFrontOf(t, upstream.origin);
  const call = open(url + MODELS);
  call.request.end();
  const socket = await upstream.next();
  await once(socket, 'data');
  socket.write('HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n3\r\nabc\r\n');
  const received = await call.response;
  received.once('data', () => socket.write('this is no chunk\r\n'));
  t.equal(await breakOf(received), 'ECONNRESET');
  const next = send(url + MODELS);
  const other = await upstream.next();
  other.end('HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok');
  t.equal((await next).text, 'ok');
});

t.test('an answer that ends with its connection is complete', async (t) => {
  const upstream = await startTcpUpstream(t);
  const { url } = await startSidecarInFrontOf(t, upstream.origin);
  const answer = send(url + MODELS);
  const socket = await upstream.next();
  await once(socket, 'data');
  socket.end('HTTP/1.1 200 OK\r\n\r\nall of it');
  t.equal((await answer).text, 'all of it');
});
