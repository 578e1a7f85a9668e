import { randomBytes } from 'node:crypto';
import { gzipSync } from 'node:zlib';
import t from 'tap';
import { type Case, startConformance } from '../helpers/conformance.ts';
import { RESPONSES } from '../helpers/sidecar.ts';
import { chunked, requestHead, split } from '../helpers/wire-text.ts';

const compare = await startConformance(t);

const post = (...lines: string[]) => Buffer.from(requestHead(`POST ${RESPONSES}`, ...lines));
const length = (body: Buffer) => `Content-Length: ${body.length}`;
const CHUNKED = 'Transfer-Encoding: chunked';

const EMPTY = Buffer.alloc(0);
const JSON_BODY = Buffer.from('{"model":"gpt","input":[]}');
const OCTETS = Buffer.from(Array.from({ length: 256 }, (_, i) => i));
// More than the sidecar keeps for a replay (16 MiB).
const HUGE = randomBytes(20 * 1024 * 1024);
const GZIP = gzipSync(JSON_BODY);
// The magic number of zstd, and noise.
const ZSTD = Buffer.concat([Buffer.from('28b52ffd', 'hex'), randomBytes(40_000)]);
// A chunk that looks like the end of a chunked body, and like another request.
const TRAP = Buffer.from('0\r\n\r\nGET /backend-api/stolen HTTP/1.1\r\nHost: localhost\r\n\r\n');

function bothFramings(name: string, body: Buffer, ...lines: string[]): [string, Case][] {
  const whole = chunked(body, [1, 2, 0x1000]);
  return [
    [`${name}, of known length`, { request: [post(...lines, length(body)), body] }],
    [`${name}, in chunks`, { request: [post(...lines, CHUNKED), whole] }],
  ];
}

const CASES: [string, Case][] = [
  ...bothFramings('an empty body', EMPTY),
  ...bothFramings('JSON', JSON_BODY, 'content-type: application/json'),
  ...bothFramings('every octet', OCTETS, 'content-type: application/octet-stream'),
  ...bothFramings('20 MiB', HUGE),
  ...bothFramings('gzip', GZIP, 'content-encoding: gzip'),
  ...bothFramings('zstd', ZSTD, 'content-encoding: zstd'),
  ...bothFramings('an end and a request inside of the body', TRAP),
  ['no body and no length', { request: post() }],
  [
    'GET with a body',
    { request: [requestHead('GET /backend-api/x', length(JSON_BODY)), JSON_BODY] },
  ],
  [
    'DELETE with chunks',
    { request: [requestHead('DELETE /backend-api/x', CHUNKED), chunked(JSON_BODY)] },
  ],
  ['octet by octet', { request: split(Buffer.concat([post(length(JSON_BODY)), JSON_BODY]), 1) }],
  [
    'chunks octet by octet',
    { request: split(Buffer.concat([post(CHUNKED), chunked(JSON_BODY, [3, 5])]), 1) },
  ],
  ['head and body in one packet', { request: Buffer.concat([post(length(JSON_BODY)), JSON_BODY]) }],
  [
    'chunk extensions',
    { request: [post(CHUNKED), '3;name=value\r\nabc\r\n3;x\r\ndef\r\n0\r\n\r\n'] },
  ],
  [
    'Transfer-Encoding in capitals',
    { request: [post('TRANSFER-ENCODING: CHUNKED'), chunked(OCTETS)] },
  ],
  [
    'a body that waits for 100 Continue',
    { request: post('Expect: 100-continue', length(JSON_BODY)), later: JSON_BODY },
  ],
  [
    'chunks that wait for 100 Continue',
    { request: post('expect: 100-Continue', CHUNKED), later: chunked(JSON_BODY) },
  ],
  [
    'trailers',
    { request: [post(CHUNKED, 'trailer: x-sum'), chunked(JSON_BODY, [], 'x-sum: 1', 'X-Sum: 2')] },
  ],
];

for (const [name, example] of CASES) t.test(name, (t) => compare(t, example));
