import type { IncomingMessage } from 'node:http';
import t from 'tap';
import { checkWellFormed } from '../../src/inbound/well-formed.ts';
import { failureOf } from '../helpers/failure.ts';

function message(lines: string[][], changes: Partial<IncomingMessage> = {}): IncomingMessage {
  const headers = Object.fromEntries(
    lines.map(([name = '', value]) => [name.toLowerCase(), value]),
  );
  const rest = { url: '/', httpVersion: '1.1', ...changes };
  return { headers, rawHeaders: lines.flat(), ...rest } as unknown as IncomingMessage;
}

const HOST = ['Host', 'localhost'];
const lines = (count: number) => Array.from({ length: count }, () => ['x', 'y']);

t.test('takes what is well-formed', async (t) => {
  t.doesNotThrow(() => checkWellFormed(message([HOST, ['Expect', '100-Continue']])));
  t.doesNotThrow(() => checkWellFormed(message([HOST, ...lines(255)])));
  t.doesNotThrow(() => checkWellFormed(message([HOST, ['Transfer-Encoding', 'chunked']])));
  t.doesNotThrow(() => checkWellFormed(message([], { httpVersion: '1.0' })));
});

// What the parser of some Node.js lets through is refused by ours.
const FRAMINGS: string[][][] = [
  [
    ['Content-Length', '5'],
    ['content-length', '5'],
  ],
  [
    ['Content-Length', '5'],
    ['Transfer-Encoding', 'chunked'],
  ],
  [
    ['Transfer-Encoding', 'chunked'],
    ['transfer-encoding', 'chunked'],
  ],
  ...['5, 5', '+5', '-5', '5\t', ' 5', '0x5', '5.0', '', '\u0665', '1'.repeat(16)].map((length) => [
    ['content-length', length],
  ]),
  ...['gzip, chunked', 'chunked, chunked', 'identity', '', 'chunked\t', 'x-chunked'].map(
    (coding) => [['transfer-encoding', coding]],
  ),
];

for (const framing of FRAMINGS) {
  t.test(`framing is checked by us, on every Node.js: ${JSON.stringify(framing)}`, async (t) => {
    const failure = await failureOf(() => checkWellFormed(message([HOST, ...framing])));
    t.equal(failure.code, 'AUTH_REQUEST_INVALID');
  });
}

t.test('a usual length and a usual coding pass', async (t) => {
  for (const framing of [
    ['Content-Length', '005'],
    ['CONTENT-LENGTH', '268435456'],
    ['Transfer-Encoding', 'Chunked'],
  ]) {
    t.doesNotThrow(() => checkWellFormed(message([HOST, framing])));
  }
});

const REFUSED: [string, IncomingMessage, string][] = [
  ['too many lines', message([HOST, ...lines(256)]), 'AUTH_REQUEST_INVALID'],
  ['two hosts', message([HOST, ['hOST', 'localhost']]), 'AUTH_REQUEST_INVALID'],
  ['another expectation', message([HOST, ['Expect', '200-ok']]), 'AUTH_REQUEST_INVALID'],
  [
    'chunks in HTTP/1.0',
    message([HOST, ['Transfer-Encoding', 'chunked']], { httpVersion: '1.0' }),
    'AUTH_REQUEST_INVALID',
  ],
  [
    'HTTP/2 in the words of HTTP/1',
    message([HOST], { httpVersion: '2.0' }),
    'AUTH_REQUEST_INVALID',
  ],
  ['HTTP/0.9', message([HOST], { httpVersion: '0.9' }), 'AUTH_REQUEST_INVALID'],
  ['absolute form', message([HOST], { url: 'http://localhost/livez' }), 'AUTH_PATH_INVALID'],
  ['asterisk form', message([HOST], { url: '*' }), 'AUTH_PATH_INVALID'],
  ['no target', message([HOST], { url: '' }), 'AUTH_PATH_INVALID'],
];

for (const [name, request, code] of REFUSED) {
  t.test(`refuses ${name}`, async (t) => {
    t.equal((await failureOf(() => checkWellFormed(request))).code, code);
  });
}
