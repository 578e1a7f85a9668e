import { once } from 'node:events';
import t from 'tap';
import {
  dialTcp,
  localError,
  open,
  parseResponse,
  readAll,
  readAnswer,
  send,
  sendRaw,
} from '../helpers/exchange.ts';
import { MODELS, RESPONSES, startSidecarInFrontOf } from '../helpers/sidecar.ts';
import { untilStatus } from '../helpers/until-status.ts';
import { closedPort, startUpstream } from '../helpers/upstream.ts';

const waiting = { expect: '100-continue', 'content-length': 4 };

t.test('the body is sent after 100, and arrives', async (t) => {
  const upstream = await startUpstream(t, (request, response) => request.pipe(response));
  const { url } = await startSidecarInFrontOf(t, upstream.origin);
  const { request, response } = open(url + RESPONSES, { method: 'POST', headers: waiting });
  request.flushHeaders();
  await once(request, 'continue');
  t.strictSame(upstream.requests, [], 'no body, no request yet');
  request.end('body');
  t.match(await readAnswer(await response), { status: 200, text: 'body' });
  t.equal(upstream.requests[0]?.headers.expect, undefined);
});

const CASES = [
  ['a denied route', '/backend-api/wham/remote/control/x', {}, 403, 'AUTH_ROUTE_DENIED'],
  ['an unknown path', '/elsewhere', {}, 403, 'AUTH_ROUTE_DENIED'],
  ['a foreign host', RESPONSES, { host: 'elsewhere.example' }, 403, 'AUTH_HOST_NOT_ALLOWED'],
  ['a body too large', RESPONSES, { 'content-length': 5000 }, 413, 'AUTH_BODY_TOO_LARGE'],
  ['no upstream', RESPONSES, {}, 502, 'UPSTREAM_UNREACHABLE'],
] as const;

for (const [name, path, headers, status, code] of CASES) {
  t.test(`${name} is answered without a 100`, async (t) => {
    const config = { limits: { bodyBytes: 1000, drainSeconds: 0 } };
    const origin = `http://127.0.0.1:${await closedPort()}`;
    const { url } = await startSidecarInFrontOf(t, origin, { config });
    const call = open(url + path, { method: 'POST', headers: { ...waiting, ...headers } });
    call.request.on('continue', () => t.fail('the body would be sent for nothing'));
    call.request.flushHeaders();
    localError(t, await readAnswer(await call.response), status, code);
    call.request.destroy();
  });
}

t.test('another expectation is refused in words', async (t) => {
  const upstream = await startUpstream(t);
  const { port } = await startSidecarInFrontOf(t, upstream.origin);
  const head = `POST ${MODELS} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n`;
  const text = await sendRaw(t, port, `${head}Expect: a-miracle\r\nContent-Length: 0\r\n\r\n`);
  localError(t, parseResponse(text), 400, 'AUTH_REQUEST_INVALID');
  t.strictSame(upstream.requests, []);
});

t.test('HTTP/1.0 knows no 100', async (t) => {
  const upstream = await startUpstream(t, (request, response) => request.pipe(response));
  const { url, port } = await startSidecarInFrontOf(t, upstream.origin);
  const client = await dialTcp(t, port);
  const head = `POST ${MODELS} HTTP/1.0\r\nHost: localhost\r\nExpect: 100-continue\r\n`;
  client.write(`${head}Content-Length: 4\r\n\r\n`);
  await untilStatus(url, ({ connections }) => connections.http === 1);
  // By the end of it the first one has its connection as well.
  await send(url + MODELS);
  client.write('body');
  t.match(String(await readAll(client)), /^HTTP\/1.1 200 OK\r\n/);
});
