import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { request as httpRequest, type IncomingMessage } from 'node:http';
import type { AddressInfo, Socket } from 'node:net';
import type { Test } from 'tap';
import { WebSocket, WebSocketServer } from 'ws';
import type { PartialConfig } from '../../src/config/resolve.ts';
import { type Answer, readAnswer } from './exchange.ts';
import { startSidecarInFrontOf, type TestSidecar } from './sidecar.ts';

const KEY = 'dGhlIHNhbXBsZSBub25jZQ==';

/** Headers of a WebSocket handshake, for clients that speak plain HTTP. */
export function upgradeHeaders(more: Record<string, string> = {}): Record<string, string> {
  return {
    connection: 'Upgrade',
    upgrade: 'websocket',
    'sec-websocket-version': '13',
    'sec-websocket-key': KEY,
    ...more,
  };
}

/** What came of an upgrade; on a 101 the connection is closed at once. */
export function tryUpgrade(url: string, more: Record<string, string> = {}): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const request = httpRequest(url, { headers: upgradeHeaders(more), agent: false });
    request.once('error', reject);
    request.once('response', (response) => {
      readAnswer(response).then(resolve, reject);
    });
    request.once('upgrade', ({ rawHeaders, headers }, socket) => {
      socket.destroy();
      resolve({ status: 101, headers, rawHeaders, bytes: Buffer.alloc(0), text: '' });
    });
    request.end();
  });
}

/** The same as text, up to the empty line. */
export function upgradeText(path: string, more: Record<string, string> = {}): string {
  const headers = Object.entries({ host: 'localhost', ...upgradeHeaders(more) });
  const lines = headers.map(([name, value]) => `${name}: ${value}\r\n`);
  return `GET ${path} HTTP/1.1\r\n${lines.join('')}\r\n`;
}

/** The 101 of an upstream. */
export function switchingText(request: IncomingMessage, ...lines: string[]): string {
  const accept = createHash('sha1')
    .update(`${request.headers['sec-websocket-key']}258EAFA5-E914-47DA-95CA-C5AB0DC85B11`)
    .digest('base64');
  return [
    'HTTP/1.1 101 Switching Protocols',
    'Connection: Upgrade',
    'Upgrade: websocket',
    `Sec-WebSocket-Accept: ${accept}`,
    ...lines,
    '\r\n',
  ].join('\r\n');
}

export interface SocketPair extends TestSidecar {
  client: WebSocket;
  upstream: WebSocket;
  /** The TCP connection of `upstream`. */
  wire: Socket;
  /** Extensions that the client was told of. */
  extensions: string;
}

/** A WebSocket through a sidecar, with both ends in the hands of the test. */
export async function openPair(
  t: Test,
  perMessageDeflate: boolean | object = false,
  config: PartialConfig = {},
  headers: Record<string, string> = {},
  path = '/backend-api/codex/responses',
): Promise<SocketPair> {
  const server = new WebSocketServer({ port: 0, host: '127.0.0.1', perMessageDeflate });
  await once(server, 'listening');
  t.teardown(() => {
    for (const socket of server.clients) socket.terminate();
    server.close();
  });
  const { port } = server.address() as AddressInfo;
  const sidecar = await startSidecarInFrontOf(t, `http://127.0.0.1:${port}`, { config });
  const address = sidecar.url.replace('http', 'ws') + path;
  const client = new WebSocket(address, { perMessageDeflate, headers });
  t.teardown(() => client.terminate());
  const [[upstream, request]] = (await Promise.all([
    once(server, 'connection'),
    once(client, 'open'),
  ])) as [[WebSocket, IncomingMessage], unknown];
  upstream.on('error', () => undefined);
  client.on('error', () => undefined);
  return { ...sidecar, client, upstream, wire: request.socket, extensions: client.extensions };
}
