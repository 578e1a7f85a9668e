import { randomBytes } from 'node:crypto';
import {
  BODY_BYTES,
  MESSAGE_BYTES,
  PAUSE_HEADER,
  RESPONSE_HEADER,
  type ResponseKind,
  type SocketOptions,
  type Target,
} from './protocol.ts';

/** The headers that Codex sends with a turn. */
const HEADERS = [
  'content-type: application/json',
  'accept: text/event-stream',
  'user-agent: codex_cli_rs/0.169.0 (Debian 12.0.0; x86_64) xterm-256color',
  'originator: codex_cli_rs',
  'version: 0.169.0',
  'session-id: 0199b6a2-5d2c-7c50-9f0e-8a5b0a3a2f10',
  'thread-id: 0199b6a2-5d2c-7c50-9f0e-8a5b0a3a2f10',
  'x-client-request-id: 0199b6a2-5d2c-7c50-9f0e-8a5b0a3a2f10',
  'x-codex-window-id: 0199b6a2-5d2c-7c50-9f0e-8a5b0a3a2f10:0',
  'x-codex-turn-metadata: {"turn_id":"0199b6a2-5d31-7bd2-a3c6-6f2d8e4f1a90","sandbox":"none"}',
];

/** One whole POST, head and body, as it goes on the wire. */
export function postBytes(target: Target, response: ResponseKind, bodyBytes = BODY_BYTES): Buffer {
  const lines = [
    `POST ${target.path} HTTP/1.1`,
    `host: 127.0.0.1:${target.port}`,
    authorization(target),
    ...HEADERS,
    `${RESPONSE_HEADER}: ${response}`,
    `content-length: ${bodyBytes}`,
  ];
  return Buffer.concat([head(lines), jsonBody(bodyBytes)]);
}

/** A WebSocket handshake. */
export function upgradeBytes(
  target: Target,
  { deflate = false, pauseMs = 0 }: SocketOptions = {},
): Buffer {
  return head([
    `GET ${target.path} HTTP/1.1`,
    `host: 127.0.0.1:${target.port}`,
    authorization(target),
    ...HEADERS,
    'connection: Upgrade',
    'upgrade: websocket',
    'sec-websocket-version: 13',
    `sec-websocket-key: ${randomBytes(16).toString('base64')}`,
    ...(pauseMs > 0 ? [`${PAUSE_HEADER}: ${pauseMs}`] : []),
    ...(deflate ? ['sec-websocket-extensions: permessage-deflate'] : []),
  ]);
}

/** One masked text frame (RFC 6455, section 5.2); with a mask of zeros the payload stays readable. */
export function messageFrame(): Buffer {
  const start = Buffer.from([0x81, 0x80 | 126, 0, 0, 0, 0, 0, 0]);
  start.writeUInt16BE(MESSAGE_BYTES, 2);
  return Buffer.concat([start, jsonBody(MESSAGE_BYTES)]);
}

function authorization({ token = 'the-client-token-that-no-upstream-may-see' }: Target): string {
  return `authorization: Bearer ${token}`;
}

function head(lines: string[]): Buffer {
  return Buffer.from(`${lines.join('\r\n')}\r\n\r\n`, 'latin1');
}

function jsonBody(bytes: number): Buffer {
  const [start, end] = ['{"model":"gpt","stream":true,"input":"', '"}'];
  return Buffer.from(
    start + 'lorem ipsum '.repeat(bytes).slice(0, bytes - start.length - end.length) + end,
  );
}
