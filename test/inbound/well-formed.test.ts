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
