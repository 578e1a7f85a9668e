import { METHODS } from 'node:http';
import t from 'tap';
import { localError, parseResponse, send, sendRaw } from '../helpers/exchange.ts';
import { MODELS, startSidecarInFrontOf } from '../helpers/sidecar.ts';
import { startUpstream } from '../helpers/upstream.ts';

const REFUSED = ['CONNECT', 'TRACE', 'SOURCE'];
const PLAIN = 'Host: localhost\r\nConnection: close\r\n';

t.test('every method but three is proxied, with its body', async (t) => {
  const upstream = await startUpstream(t, (request, response) => {
    request.setEncoding('utf8').on('data', (body) => response.setHeader('x-body', body));
    request.on('end', () => response.setHeader('x-method', request.method ?? '').end());
  });
  const { url } = await startSidecarInFrontOf(t, upstream.origin);
  for (const method of METHODS.filter((name) => !REFUSED.includes(name))) {
    const headers = { 'content-length': 4 };
    const answer = await send(url + MODELS, { method, headers, body: 'body' });
    t.match(answer, { status: 200, headers: { 'x-method': method, 'x-body': 'body' } });
    t.equal((await send(url + MODELS, { method })).headers['x-method'], method);
  }
});

t.test('content types are not judged', async (t) => {
  const upstream = await startUpstream(t, (request, response) => {
    response.end(request.headers['content-type']);
  });
  const { url } = await startSidecarInFrontOf(t, upstream.origin);
  for (const type of ['nonsense', 'application/json; charset="', '/']) {
    const answer = await send(url + MODELS, { body: '{', headers: { 'content-type': type } });
    t.equal(answer.text, type);
  }
});

t.test('TRACE, which would show the credential, is refused', async (t) => {
  const upstream = await startUpstream(t);
  const { port } = await startSidecarInFrontOf(t, upstream.origin);
  const answer = parseResponse(await sendRaw(t, port, `TRACE ${MODELS} HTTP/1.1\r\n${PLAIN}\r\n`));
  localError(t, answer, 403, 'AUTH_ROUTE_DENIED');
  t.match(answer.text, 'TRACE');
  t.strictSame(upstream.requests, []);
});

t.test('CONNECT is refused, and nothing behind it is read', async (t) => {
  const upstream = await startUpstream(t);
  const { port } = await startSidecarInFrontOf(t, upstream.origin);
  for (const target of [`127.0.0.1:${upstream.port}`, 'localhost:443']) {
    const more = `GET ${MODELS} HTTP/1.1\r\n${PLAIN}\r\n`;
    const text = await sendRaw(t, port, `CONNECT ${target} HTTP/1.1\r\n${PLAIN}\r\n${more}`);
    localError(t, parseResponse(text), 403, 'AUTH_ROUTE_DENIED');
    t.equal(text.split('HTTP/1.1').length, 2, 'one answer');
  }
  t.equal(upstream.connections, 0);
});

t.test('CONNECT ahead of an answer that is not finished cuts the connection', async (t) => {
  const upstream = await startUpstream(t);
  const { port } = await startSidecarInFrontOf(t, upstream.origin);
  const get = `GET ${MODELS} HTTP/1.1\r\nHost: localhost\r\n\r\n`;
  const text = sendRaw(t, port, `${get}CONNECT localhost:443 HTTP/1.1\r\n${PLAIN}\r\n`);
  t.equal(await text.catch(() => ''), '');
});
