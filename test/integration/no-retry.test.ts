import { once } from 'node:events';
import t from 'tap';
import { localError, send } from '../helpers/exchange.ts';
import { MODELS, RESPONSES, startSidecarInFrontOf } from '../helpers/sidecar.ts';
import { closedPort, startTcpUpstream, startUpstream } from '../helpers/upstream.ts';

for (const method of ['GET', 'POST', 'PUT']) {
  t.test(`a ${method} answered 503 is not sent again`, async (t) => {
    const upstream = await startUpstream(t, (_request, response) => {
      response.writeHead(503, { 'retry-after': '0' }).end('busy');
    });
    const { url } = await startSidecarInFrontOf(t, upstream.origin);
    const answer = await send(url + MODELS, { method });
    t.match(answer, { status: 503, text: 'busy', headers: { 'retry-after': '0' } });
    t.equal(answer.headers['x-sidecar-error'], undefined);
    t.equal(upstream.requests.length, 1);
  });

  t.test(`a ${method} whose connection is reset is not sent again`, async (t) => {
    const upstream = await startUpstream(t, (request, response) => {
      if (upstream.requests.length === 1) request.socket.resetAndDestroy();
      else response.end('next');
    });
    const { url } = await startSidecarInFrontOf(t, upstream.origin);
    const answer = await send(url + MODELS, { method });
    localError(t, answer, 502, 'UPSTREAM_UNREACHABLE');
    t.equal(answer.headers['retry-after'], '1');
    t.equal(upstream.requests.length, 1);
    t.equal((await send(url + MODELS, { method })).text, 'next');
  });
}

t.test(
  'an upstream that closes without an answer, or answers no HTTP, is unreachable',
  async (t) => {
    const upstream = await startTcpUpstream(t);
    const { url } = await startSidecarInFrontOf(t, upstream.origin);
    for (const bytes of ['', 'this is no HTTP\r\n\r\n']) {
      const answer = send(url + RESPONSES, { method: 'POST', body: '{}' });
      const socket = await upstream.next();
      await once(socket, 'data');
      socket.end(bytes);
      localError(t, await answer, 502, 'UPSTREAM_UNREACHABLE');
    }
  },
);

t.test('an upstream where nobody listens is unreachable', async (t) => {
  const { url } = await startSidecarInFrontOf(t, `http://127.0.0.1:${await closedPort()}`);
  const answer = await send(url + RESPONSES, { method: 'POST', body: '{}' });
  localError(t, answer, 502, 'UPSTREAM_UNREACHABLE');
  t.match(answer.text, 'ECONNREFUSED');
});

t.test('a switch of protocols that nobody asked for is no answer', async (t) => {
  const upstream = await startTcpUpstream(t);
  const { url } = await startSidecarInFrontOf(t, upstream.origin);
  const answer = send(url + MODELS);
  const socket = await upstream.next();
  await once(socket, 'data');
  socket.end('HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: x\r\n\r\n');
  localError(t, await answer, 502, 'UPSTREAM_UNREACHABLE');
});
