import { randomBytes } from 'node:crypto';
import { gzipSync } from 'node:zlib';
import t from 'tap';
import { send, sendRaw } from '../helpers/exchange.ts';
import { MODELS, RESPONSES, startSidecarInFrontOf } from '../helpers/sidecar.ts';
import { startTcpUpstream, startUpstream } from '../helpers/upstream.ts';

const PASSED = [
  ...['X-Codex-Turn-State', 's', 'x-codex-primary-used-percent', '12', 'OpenAI-Model', 'gpt'],
  ...['x-models-etag', '"m"', 'ETag', 'W/"e"', 'x-reasoning-included', 'true'],
  ...['X-Request-Id', 'r', 'x-oai-request-id', 'o', 'CF-Ray', 'c', 'x-error-json', 'e30='],
  ...['x-openai-authorization-error', 'task_expired', 'x-ratelimit-limit-requests', '5'],
  ...['Retry-After', '7', 'warning', 'a', 'Warning', 'b', 'cf-mitigated', 'challenge'],
  ...['Date', 'Fri, 20 Nov 2026 21:30:36 GMT', 'content-type', 'text/html'],
];
const KEPT_BACK = [
  ...['Set-Cookie', '__cf_bm=1', 'set-cookie', 'session=2', 'Keep-Alive', 'timeout=9'],
  ...['Proxy-Connection', 'x', 'X-Hop', 'x', 'Connection', 'keep-alive, x-hop'],
];

t.test(
  'headers pass in their order and spelling, cookies and hop-by-hop ones do not',
  async (t) => {
    const upstream = await startUpstream(t, (_request, response) => {
      response.sendDate = false;
      response.writeHead(200, [...PASSED, ...KEPT_BACK, 'content-length', '2']).end('ok');
    });
    const { url } = await startSidecarInFrontOf(t, upstream.origin);
    const { rawHeaders, text } = await send(url + MODELS);
    const end = rawHeaders.indexOf('Connection');
    t.strictSame(rawHeaders.slice(0, end), [...PASSED, 'content-length', '2']);
    t.strictSame(rawHeaders.slice(end), ['Connection', 'close'], 'of the sidecar and its client');
    t.equal(text, 'ok');
  },
);

for (const status of [201, 204, 304, 400, 401, 403, 404, 409, 418, 424, 429, 500, 502, 503, 599]) {
  t.test(`a ${status} is not rewritten`, async (t) => {
    const body = status === 204 || status === 304 ? '' : 'body of the upstream';
    const upstream = await startUpstream(t, (_request, response) => {
      response.writeHead(status, 'Reason Of Its Own', { 'x-request-id': 'r' }).end(body);
    });
    const { port } = await startSidecarInFrontOf(t, upstream.origin);
    const text = await sendRaw(
      t,
      port,
      `POST ${RESPONSES} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n`,
    );
    t.ok(text.startsWith(`HTTP/1.1 ${status} Reason Of Its Own\r\n`));
    t.match(text, '\r\nx-request-id: r\r\n');
    t.notMatch(text, 'x-sidecar-error');
    t.ok(text.includes(body));
  });
}

t.test('a date is not made up', async (t) => {
  const upstream = await startUpstream(t, (_request, response) => {
    response.sendDate = false;
    response.end();
  });
  const { url } = await startSidecarInFrontOf(t, upstream.origin);
  t.equal((await send(url + MODELS)).headers.date, undefined);
});

t.test('compressed and binary bodies keep their bytes', async (t) => {
  for (const bytes of [gzipSync('text'), randomBytes(2_000_000)]) {
    const upstream = await startUpstream(t, (_request, response) => {
      response.writeHead(200, { 'content-encoding': 'gzip' });
      response.end(bytes);
    });
    const { url } = await startSidecarInFrontOf(t, upstream.origin);
    const answer = await send(url + MODELS);
    t.ok(answer.bytes.equals(bytes));
    t.equal(answer.headers['content-encoding'], 'gzip');
  }
});

t.test('a HEAD answer keeps its length', async (t) => {
  const upstream = await startUpstream(t, (_request, response) => {
    response.writeHead(200, { 'content-length': 1234 }).end();
  });
  const { url } = await startSidecarInFrontOf(t, upstream.origin);
  const { headers, text } = await send(url + MODELS, { method: 'HEAD' });
  t.equal(headers['content-length'], '1234');
  t.equal(text, '');
});

t.test('an interim answer is not taken for the final one', async (t) => {
  const upstream = await startTcpUpstream(t);
  const { url } = await startSidecarInFrontOf(t, upstream.origin);
  const answer = send(url + MODELS);
  const socket = await upstream.next();
  socket.write('HTTP/1.1 103 Early Hints\r\nlink: </x>\r\n\r\n');
  socket.write('HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nfinal');
  t.equal((await answer).text, 'final');
});

t.test('a reason phrase that HTTP cannot carry is left out', async (t) => {
  const upstream = await startTcpUpstream(t);
  const { port } = await startSidecarInFrontOf(t, upstream.origin);
  const text = sendRaw(
    t,
    port,
    `GET ${MODELS} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n`,
  );
  const socket = await upstream.next();
  socket.end('HTTP/1.1 429 Zu viele — warten\r\ncontent-length: 2\r\nconnection: close\r\n\r\nno');
  t.match(await text, /^HTTP\/1\.1 429 \r\n/);
});
