import { randomBytes } from 'node:crypto';
import { gzipSync } from 'node:zlib';
import t from 'tap';
import { type Case, startConformance } from '../helpers/conformance.ts';
import { MODELS, RESPONSES } from '../helpers/sidecar.ts';
import { chunked, head, requestHead, split } from '../helpers/wire-text.ts';

const compare = await startConformance(t);

const GET = requestHead(`GET ${MODELS}`);
const HEAD = requestHead(`HEAD ${MODELS}`);
const POST = `${requestHead(`POST ${RESPONSES}`, 'content-length: 2')}{}`;
const CHUNKED = 'Transfer-Encoding: chunked';

const answer = (status: string, ...lines: string[]) => head(`HTTP/1.1 ${status}`, ...lines);
const BODY = Buffer.from('{"error":{"message":"of the upstream"}}');
const LENGTH = `Content-Length: ${BODY.length}`;
const OCTETS = Buffer.from(Array.from({ length: 256 }, (_, i) => i));
const HUGE = randomBytes(20 * 1024 * 1024);
const GZIP = gzipSync(BODY);
const ZSTD = Buffer.concat([Buffer.from('28b52ffd', 'hex'), randomBytes(40_000)]);
const EVENTS = Buffer.from(
  Array.from({ length: 50 }, (_, i) => `id: ${i}\nevent: n\ndata: {"n":${i}}\n\n`).join(''),
);

const STATUSES = [
  ...['200 OK', '201 Created', '202 Accepted', '203 A', '206 Partial Content', '207 B', '226 C'],
  ...['300 D', '301 E', '302 Found', '303 F', '305 G', '307 H', '308 Permanent Redirect', '399 I'],
  ...['400 J', '401 K', '402 L', '403 M', '404 N', '405 O', '407 P', '408 Q', '409 R', '410 S'],
  ...['413 T', '418 U', '421 V', '424 W', '425 X', '428 Y', '429 Too Many', '431 Z', '451 a'],
  ...['499 b', '500 c', '501 d', '502 e', '503 f', '504 g', '505 h', '520 i', '529 j', '599 k'],
];

const CASES: [string, Case][] = [
  ...STATUSES.map((status): [string, Case] => [
    status,
    {
      request: POST,
      answer: [
        answer(status, LENGTH, 'location: http://elsewhere.example/x', 'x-request-id: r'),
        BODY,
      ],
    },
  ]),
  ['204', { request: GET, answer: answer('204 No Content', 'x-request-id: r') }],
  ['205', { request: GET, answer: answer('205 Reset Content', 'content-length: 0') }],
  ['304', { request: GET, answer: answer('304 Not Modified', 'etag: "e"') }],
  ['304 with a length', { request: GET, answer: answer('304 Not Modified', 'content-length: 99') }],
  ['no reason phrase', { request: GET, answer: [answer('200 ', LENGTH), BODY] }],
  [
    'a long reason phrase',
    { request: GET, answer: [answer(`429 ${'too much '.repeat(99)}!`, LENGTH), BODY] },
  ],
  ['HEAD with a length', { request: HEAD, answer: answer('200 OK', 'content-length: 1234') }],
  ['HEAD without one', { request: HEAD, answer: answer('200 OK', 'x-a: b') }],
  ['HEAD of chunks', { request: HEAD, answer: answer('200 OK', CHUNKED) }],
  ['HEAD of an error', { request: HEAD, answer: answer('404 Not Found', LENGTH) }],
  ['an empty body', { request: GET, answer: answer('200 OK', 'content-length: 0') }],
  ['empty chunks', { request: GET, answer: [answer('200 OK', CHUNKED), chunked(Buffer.alloc(0))] }],
  [
    'every octet',
    { request: GET, answer: [answer('200 OK', CHUNKED), chunked(OCTETS, [1, 2, 3])] },
  ],
  ['20 MiB', { request: GET, answer: [answer('200 OK', `content-length: ${HUGE.length}`), HUGE] }],
  [
    '20 MiB in chunks',
    { request: GET, answer: [answer('200 OK', CHUNKED), chunked(HUGE, [1, 70_000])] },
  ],
  [
    'gzip',
    { request: GET, answer: [answer('200 OK', 'content-encoding: gzip', CHUNKED), chunked(GZIP)] },
  ],
  [
    'zstd',
    {
      request: GET,
      answer: [answer('200 OK', 'content-encoding: zstd', `content-length: ${ZSTD.length}`), ZSTD],
    },
  ],
  [
    'a body up to the end of the connection',
    { request: GET, answer: [answer('200 OK'), BODY], closes: true },
  ],
  [
    'a last answer',
    { request: GET, answer: [answer('200 OK', LENGTH, 'connection: close'), BODY], closes: true },
  ],
  [
    'an old upstream',
    { request: GET, answer: [`HTTP/1.0 200 OK\r\n${LENGTH}\r\n\r\n`, BODY], closes: true },
  ],
  [
    // Undici keeps only the last piece of a reason phrase that comes in several.
    'octet by octet, behind the status line',
    { request: GET, answer: ['HTTP/1.1 200 OK\r\n', ...`${LENGTH}\r\n\r\n${BODY}`] },
  ],
  [
    'events, octet by octet',
    {
      request: POST,
      answer: [
        answer('200 OK', 'content-type: text/event-stream', 'cache-control: no-cache', CHUNKED),
        ...split(chunked(EVENTS, [10, 20, 30]), 1),
      ],
    },
  ],
  [
    'headers of every kind',
    {
      request: GET,
      answer: [
        answer(
          '200 OK',
          ...['x-codex-turn-state: s', 'X-Codex-Primary-Used-Percent: 1', 'openai-model: m'],
          ...['x-models-etag: "a"', 'ETag: W/"b"', 'x-reasoning-included: true', 'x-request-id: r'],
          ...['x-oai-request-id: o', 'CF-Ray: c', 'x-error-json: e30=', 'retry-after: 9'],
          ...['x-openai-authorization-error: task_expired', 'x-ratelimit-remaining-tokens: 3'],
          ...['warning: a', 'Warning: b', 'cf-mitigated: challenge', 'via: 1.1 x', 'server: s'],
          ...['www-authenticate: A', 'www-authenticate: B', 'vary: a', 'vary: b', 'link: </x>'],
          ...['date: Fri, 20 Nov 2026 21:30:36 GMT', 'age: 1', 'allow: GET', 'x-empty:', LENGTH],
          ...['content-type: text/html', 'alt-svc: h3=":443"', 'strict-transport-security: x'],
          `x-octets: a\t${Array.from({ length: 128 }, (_, i) => String.fromCharCode(128 + i)).join('')}`,
          "!#$%&'*+-.^_`|~: odd",
        ),
        BODY,
      ],
    },
  ],
  [
    'headers that end here',
    {
      request: GET,
      answer: [
        answer(
          '200 OK',
          ...['Set-Cookie: a=b', 'set-cookie: __cf_bm=c', 'keep-alive: timeout=9', 'x-hop: 1'],
          ...['proxy-connection: x', 'connection: X-Hop, keep-alive', LENGTH, 'x-kept: 1'],
        ),
        BODY,
      ],
    },
  ],
  [
    'a header of 60 KB',
    { request: GET, answer: [answer('200 OK', `x: ${'v'.repeat(60_000)}`, LENGTH), BODY] },
  ],
  [
    '500 headers',
    {
      request: GET,
      answer: [
        answer('200 OK', ...Array.from({ length: 500 }, (_, i) => `x-${i}: ${i}`), LENGTH),
        BODY,
      ],
    },
  ],
  [
    'early hints',
    {
      request: GET,
      answer: [
        answer('103 Early Hints', 'link: </a>', 'Link: </b>'),
        answer('102 Processing'),
        answer('200 OK', LENGTH),
        BODY,
      ],
    },
  ],
  [
    'trailers',
    {
      request: requestHead(`GET ${MODELS}`, 'te: trailers', 'connection: te'),
      answer: [
        answer('200 OK', CHUNKED, 'trailer: x-sum'),
        chunked(BODY, [], 'x-sum: 1', 'X-Sum: 2'),
      ],
    },
  ],
];

for (const [name, example] of CASES) t.test(name, (t) => compare(t, example));
