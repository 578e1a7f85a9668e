import { MODELS, RESPONSES } from '../helpers/sidecar.ts';
import { BAD_PATH, DENIED, type Expected, GIVEN, type Group, INVALID } from './corpus.ts';

const HANDSHAKE: Record<string, string> = {
  connection: 'Upgrade',
  upgrade: 'websocket',
  'sec-websocket-version': '13',
  'sec-websocket-key': 'dGhlIHNhbXBsZSBub25jZQ==',
};

/** @param changes null leaves a header out */
function upgrade(
  changes: Record<string, string | null> = {},
  line = `GET ${RESPONSES} HTTP/1.1`,
  more = '',
): string {
  const headers = Object.entries({ ...HANDSHAKE, ...changes });
  const lines = headers.map(([name, value]) => (value === null ? '' : `${name}: ${value}\r\n`));
  return `${line}\r\n${GIVEN}${more}${lines.join('')}\r\n`;
}

const dialled: Expected = { forwarded: `GET ${RESPONSES}`, auth: 'AgentAssertion', status: 426 };
/** A GET of this path is a bearer route. */
const plain: Expected = { forwarded: `GET ${RESPONSES}`, auth: 'Bearer' };
const HIDDEN = `GET /backend-api/codex/hidden HTTP/1.1\r\n${GIVEN}\r\n`;

const handshakes: Group = {
  reason: 'a WebSocket that one side believes in and the other does not',
  entries: [
    { name: 'no key', text: upgrade({ 'sec-websocket-key': null }), expected: INVALID },
    { name: 'an empty key', text: upgrade({ 'sec-websocket-key': '' }), expected: INVALID },
    { name: 'a short key', text: upgrade({ 'sec-websocket-key': 'c2hvcnQ=' }), expected: INVALID },
    {
      name: 'a long key',
      text: upgrade({ 'sec-websocket-key': 'dGhlIHNhbXBsZSBub25jZSBhbmQ=' }),
      expected: INVALID,
    },
    {
      name: 'a key that is no base64',
      text: upgrade({ 'sec-websocket-key': '!!!!!!!!!!!!!!!!!!!!!!==' }),
      expected: INVALID,
    },
    {
      name: 'two keys',
      text: upgrade({}, undefined, 'sec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n'),
      expected: INVALID,
    },
    { name: 'no version', text: upgrade({ 'sec-websocket-version': null }), expected: INVALID },
    { name: 'an old version', text: upgrade({ 'sec-websocket-version': '8' }), expected: INVALID },
    {
      name: 'a version to come',
      text: upgrade({ 'sec-websocket-version': '14' }),
      expected: INVALID,
    },
    {
      name: 'two versions',
      text: upgrade({ 'sec-websocket-version': '13, 8' }),
      expected: INVALID,
    },
    {
      name: 'a key that connection names',
      text: upgrade({ connection: 'Upgrade, Sec-WebSocket-Key' }),
      expected: INVALID,
    },
    {
      name: 'too many headers',
      text: upgrade({}, undefined, 'a:b\r\n'.repeat(300)),
      expected: INVALID,
    },
    { name: 'two hosts', text: upgrade({}, undefined, 'host: localhost\r\n'), expected: INVALID },
    { name: 'folded', text: upgrade({ upgrade: 'web\r\n socket' }), expected: INVALID },
    {
      name: 'a CR in the key',
      text: upgrade({ 'sec-websocket-key': 'dGhlIHNh\rXBsZSBub25jZQ==' }),
      expected: INVALID,
    },
    {
      name: 'no token',
      text: upgrade().replace(/x-sidecar-token.*\r\n/, ''),
      expected: { refused: 'AUTH_CLIENT_TOKEN' },
    },
    {
      name: 'a page',
      text: upgrade({ origin: 'https://evil.example' }),
      expected: { refused: 'AUTH_ORIGIN_NOT_ALLOWED' },
    },
    {
      name: 'another host',
      text: upgrade().replace('host: localhost', 'host: evil.example'),
      expected: { refused: 'AUTH_HOST_NOT_ALLOWED' },
      viaSocket: dialled,
    },
    {
      name: 'an absolute target',
      text: upgrade({}, `GET http://evil.example${RESPONSES} HTTP/1.1`),
      expected: BAD_PATH,
    },
    {
      name: 'a denied route',
      text: upgrade({}, 'GET /backend-api/wham/remote/control/x HTTP/1.1'),
      expected: DENIED,
    },
    {
      name: 'a path that is served nowhere',
      text: upgrade({}, 'GET /nowhere HTTP/1.1'),
      expected: DENIED,
    },
    { name: 'by CONNECT', text: upgrade({}, 'CONNECT localhost:443 HTTP/1.1'), expected: DENIED },
    {
      name: 'a request sent ahead of the answer',
      text: `${upgrade()}${HIDDEN}`,
      expected: dialled,
    },
    {
      name: 'in upper case',
      text: upgrade({ connection: 'UPGRADE', upgrade: 'WebSocket' }),
      expected: dialled,
    },
  ],
};

const others: Group = {
  reason: 'an upgrade that is none: the request counts, its upgrade does not',
  entries: [
    { name: 'no connection header', text: upgrade({ connection: null }), expected: plain },
    { name: 'connection close', text: upgrade({ connection: 'close' }), expected: plain },
    { name: 'in HTTP/1.0', text: upgrade({}, `GET ${RESPONSES} HTTP/1.0`), expected: plain },
    {
      name: 'h2c',
      text: upgrade({
        connection: 'Upgrade, HTTP2-Settings',
        upgrade: 'h2c',
        'http2-settings': 'AAMAAABk',
      }),
      expected: plain,
    },
    { name: 'a list', text: upgrade({ upgrade: 'h2c, websocket' }), expected: plain },
    { name: 'a version', text: upgrade({ upgrade: 'websocket/13' }), expected: plain },
    { name: 'twice', text: upgrade({}, undefined, 'upgrade: websocket\r\n'), expected: plain },
    { name: 'TLS', text: upgrade({ upgrade: 'TLS/1.3' }), expected: plain },
    { name: 'an empty one', text: upgrade({ upgrade: '' }), expected: plain },
    {
      name: 'by POST',
      text: upgrade({ 'content-length': '0' }, `POST ${RESPONSES} HTTP/1.1`),
      expected: { forwarded: `POST ${RESPONSES}`, auth: 'AgentAssertion', body: '' },
    },
    {
      name: 'by OPTIONS',
      text: upgrade({}, `OPTIONS ${MODELS} HTTP/1.1`),
      expected: { forwarded: `OPTIONS ${MODELS}`, auth: 'Bearer' },
    },
    {
      name: 'with a body',
      text: `${upgrade({ 'content-length': String(HIDDEN.length) })}${HIDDEN}`,
      expected: { ...(plain as object), body: HIDDEN } as Expected,
    },
    {
      name: 'with chunks',
      text: `${upgrade({ 'transfer-encoding': 'chunked' })}3\r\nabc\r\n0\r\n\r\n`,
      expected: { ...(plain as object), body: 'abc' } as Expected,
    },
    {
      name: 'with bad chunks',
      text: `${upgrade({ 'transfer-encoding': 'chunked' })}0x3\r\nabc\r\n0\r\n\r\n`,
      expected: INVALID,
    },
    {
      name: 'with a length and chunks',
      text: `${upgrade({ 'content-length': '3', 'transfer-encoding': 'chunked' })}0\r\n\r\n`,
      expected: INVALID,
    },
    {
      name: 'with two lengths',
      text: `${upgrade({ 'content-length': '0', 'Content-Length': '3' })}abc`,
      expected: INVALID,
    },
    {
      name: 'h2c with a body behind too many headers',
      text:
        upgrade(
          { upgrade: 'h2c', 'content-length': String(HIDDEN.length) },
          undefined,
          'a:b\r\n'.repeat(2100),
        ) + HIDDEN,
      expected: INVALID,
    },
    {
      name: 'h2c with two hosts',
      text: upgrade({ upgrade: 'h2c' }, undefined, 'host: localhost\r\n'),
      expected: INVALID,
    },
    {
      name: 'of an endpoint of its own',
      text: upgrade({}, 'GET /readyz HTTP/1.1'),
      expected: { own: 200 },
    },
  ],
};

export const UPGRADES: Record<string, Group> = { handshakes, others };
