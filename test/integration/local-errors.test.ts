import t from 'tap';
import { localError, parseResponse, send, sendRaw } from '../helpers/exchange.ts';
import { startSidecarInFrontOf } from '../helpers/sidecar.ts';
import { startUpstream } from '../helpers/upstream.ts';

const get = (target: string, host = 'Host: localhost\r\n') =>
  `GET ${target} HTTP/1.1\r\n${host}Connection: close\r\n\r\n`;

const REQUESTS: [string, string, number, string][] = [
  ['an unknown path', get('/'), 403, 'AUTH_ROUTE_DENIED'],
  ['a path beside the prefix', get('/backend-apix/codex/models'), 403, 'AUTH_ROUTE_DENIED'],
  ['the prefix alone', get('/backend-api?x'), 403, 'AUTH_ROUTE_DENIED'],
  ['another case', get('/Backend-API/codex/models'), 403, 'AUTH_ROUTE_DENIED'],
  ['absolute form', get('http://localhost/backend-api/x'), 400, 'AUTH_PATH_INVALID'],
  ['absolute form, elsewhere', get('http://evil/backend-api/x'), 400, 'AUTH_PATH_INVALID'],
  ['a dot segment', get('/backend-api/../x'), 400, 'AUTH_PATH_INVALID'],
  ['a dot segment at the end', get('/backend-api/codex/..'), 400, 'AUTH_PATH_INVALID'],
  ['an encoded dot segment', get('/backend-api/%2e%2e/x'), 400, 'AUTH_PATH_INVALID'],
  ['a half encoded one', get('/backend-api/.%2E/x'), 400, 'AUTH_PATH_INVALID'],
  ['an empty segment', get('/backend-api//x'), 400, 'AUTH_PATH_INVALID'],
  ['two slashes', get('//backend-api/x'), 400, 'AUTH_PATH_INVALID'],
  ['an encoded slash', get('/backend-api/a%2Fb'), 400, 'AUTH_PATH_INVALID'],
  ['a backslash', get('/backend-api/a\\b'), 400, 'AUTH_PATH_INVALID'],
  ['an encoded backslash', get('/backend-api/a%5cb'), 400, 'AUTH_PATH_INVALID'],
  ['NUL', get('/backend-api/a%00'), 400, 'AUTH_PATH_INVALID'],
  ['broken percent-encoding', get('/backend-api/%zz'), 400, 'AUTH_PATH_INVALID'],
  ['broken UTF-8', get('/backend-api/%c3'), 400, 'AUTH_PATH_INVALID'],
  ['a star', get('*').replace('GET', 'OPTIONS'), 400, 'AUTH_PATH_INVALID'],
  [
    'a method without a route',
    get('/backend-api/x').replace('GET', 'TRACE'),
    403,
    'AUTH_ROUTE_DENIED',
  ],
  [
    'a method that is none',
    get('/backend-api/x').replace('GET', 'BREW'),
    400,
    'AUTH_REQUEST_INVALID',
  ],
  ['no host', get('/backend-api/x', ''), 403, 'AUTH_HOST_NOT_ALLOWED'],
  [
    'two hosts',
    get('/backend-api/x', 'Host: localhost\r\nHost: localhost\r\n'),
    400,
    'AUTH_REQUEST_INVALID',
  ],
  ['no HTTP', 'this is no HTTP\r\n\r\n', 400, 'AUTH_REQUEST_INVALID'],
  ['a header without a name', get('/', 'Host: localhost\r\n: x\r\n'), 400, 'AUTH_REQUEST_INVALID'],
  ['a header with a space', get('/', 'Host : localhost\r\n'), 400, 'AUTH_REQUEST_INVALID'],
  [
    'two lengths',
    get('/backend-api/x', 'Host: localhost\r\nContent-Length: 1\r\nContent-Length: 2\r\n'),
    400,
    'AUTH_REQUEST_INVALID',
  ],
  [
    'length and chunks',
    get('/backend-api/x', 'Host: localhost\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n'),
    400,
    'AUTH_REQUEST_INVALID',
  ],
  [
    'headers over 64 KiB',
    get('/', `Host: localhost\r\nX: ${'x'.repeat(70_000)}\r\n`),
    400,
    'AUTH_REQUEST_INVALID',
  ],
  [
    'headers far over it',
    get('/', `Host: localhost\r\nX: ${'x'.repeat(3_000_000)}\r\n`),
    400,
    'AUTH_REQUEST_INVALID',
  ],
];

for (const [name, request, status, code] of REQUESTS) {
  t.test(`${name}: ${status} ${code}`, async (t) => {
    const upstream = await startUpstream(t, (_request, response) => response.end());
    const { port } = await startSidecarInFrontOf(t, upstream.origin);
    const answer = parseResponse(await sendRaw(t, port, request));
    if (code === '') {
      t.equal(answer.status, status);
      return;
    }
    localError(t, answer, status, code);
    t.equal(answer.headers['content-length'], String(answer.bytes.length));
    t.equal(answer.headers['retry-after'], undefined);
    t.equal(upstream.connections, 0);
  });
}

t.test('an unknown path is denied whatever its body is', async (t) => {
  const upstream = await startUpstream(t);
  const { url } = await startSidecarInFrontOf(t, upstream.origin);
  for (const type of ['application/json', 'text/plain', 'application/x-unknown', 'not a type']) {
    const headers = { 'content-type': type };
    const answer = await send(`${url}/unknown`, { method: 'POST', headers, body: '{ not JSON' });
    localError(t, answer, 403, 'AUTH_ROUTE_DENIED');
  }
});
