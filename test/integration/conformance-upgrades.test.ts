import { randomBytes } from 'node:crypto';
import t from 'tap';
import { type Case, startConformance } from '../helpers/conformance.ts';
import { RESPONSES } from '../helpers/sidecar.ts';
import { chunked, head, requestHead } from '../helpers/wire-text.ts';

const compare = await startConformance(t);

const HANDSHAKE = [
  ...['Connection: Upgrade', 'Upgrade: websocket', 'Sec-WebSocket-Version: 13'],
  'Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==',
];
const upgrade = (...lines: string[]) => requestHead(`GET ${RESPONSES}`, ...HANDSHAKE, ...lines);
const switching = (...lines: string[]) =>
  head(
    'HTTP/1.1 101 Switching Protocols',
    ...['Upgrade: websocket', 'Connection: Upgrade'],
    'Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=',
    ...lines,
  );
const BODY = Buffer.from('{"error":{"message":"of the upstream"}}');
const BYTES = randomBytes(3_000_000);

const REFUSALS = [
  ...['200 OK', '301 Moved', '400 Bad Request', '401 Unauthorized', '403 Forbidden', '404 A'],
  ...['426 Upgrade Required', '429 Too Many Requests', '500 B', '502 C', '503 D', '529 E'],
];

const CASES: [string, Case][] = [
  [
    'headers of Codex, extensions and subprotocol',
    {
      request: upgrade(
        ...['OpenAI-Beta: responses_websockets=2026-02-06', 'originator: codex_exec'],
        ...['Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits'],
        ...['Sec-WebSocket-Protocol: a, b', 'x-codex-turn-state: s', 'user-agent: u'],
        ...['Authorization: Bearer c', 'cookie: c', 'x-forwarded-for: c', 'chatgpt-account-id: c'],
      ),
      answer: switching(
        ...['Sec-WebSocket-Extensions: permessage-deflate', 'sec-websocket-protocol: b'],
        ...['x-codex-turn-state: t', 'X-Request-Id: r', 'set-cookie: a=b', 'x-a: 1', 'X-A: 2'],
      ),
      later: '',
    },
  ],
  ['bytes both ways', { request: upgrade(), answer: [switching(), BYTES], later: BYTES }],
  [
    'octet by octet',
    { request: [...upgrade()], answer: [...switching(), ...'hello'], later: [...'and bye'] },
  ],
  [
    'the names in capitals',
    { request: upgrade().replace('websocket', 'WebSocket'), answer: switching() },
  ],
  ...REFUSALS.map((status): [string, Case] => [
    `${status} instead`,
    {
      request: upgrade(),
      answer: [
        head(
          `HTTP/1.1 ${status}`,
          `Content-Length: ${BODY.length}`,
          'retry-after: 9',
          'set-cookie: a=b',
        ),
        BODY,
      ],
    },
  ]),
  [
    'a refusal in chunks',
    {
      request: upgrade(),
      answer: [head('HTTP/1.1 403 F', 'transfer-encoding: chunked'), chunked(BODY, [1, 2])],
    },
  ],
  [
    'a refusal up to the end of the connection',
    { request: upgrade(), answer: [head('HTTP/1.1 503 F'), BODY], closes: true },
  ],
];

for (const [name, example] of CASES) t.test(name, (t) => compare(t, example));
