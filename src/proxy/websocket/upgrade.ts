import { type IncomingMessage, type Server, ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import type { FastifyInstance } from 'fastify';
import { SidecarError } from '../../base/errors.ts';
import { hasBody } from '../../inbound/has-body.ts';
import { closeGently } from '../../inbound/lingering-close.ts';
import type { PendingResponses } from '../../inbound/pending-responses.ts';
import { isWellFormed } from '../../inbound/well-formed.ts';
import { headText } from '../headers.ts';
import { watchOpening } from './early-close.ts';
import type { OpenTunnels } from './open-tunnels.ts';
import type { Tunnel } from './tunnel.ts';

/**
 * Upgrades, relayed as bytes in place of http-proxy's own WebSocket support, which answers 101
 * before it has dialled (so that a 426 or 401 of the upstream becomes a close code) and decodes
 * every frame. Each upgrade takes the same way through Fastify as a plain request, hooks included,
 * so no check can be bypassed, and each one is answered.
 */
interface PendingUpgrade {
  socket: Duplex;
  head: Buffer;
}

const pending = new WeakMap<IncomingMessage, PendingUpgrade>();

/** Bytes that a client may send before the answer to its upgrade, which none should do at all. */
const EARLY_BYTES = 64 * 1024;

/** Routes the `upgrade` events of the server through Fastify. */
export function routeUpgrades(app: FastifyInstance, pendingResponses: PendingResponses): void {
  const server = app.server as Server;
  const open = new Set<Duplex>();
  server.on('upgrade', (request: IncomingMessage, socket: Duplex, head: Buffer) => {
    if (pendingResponses.first(socket)) {
      // Sent ahead of an answer that is not finished, and no longer to be queued behind it.
      socket.destroy();
    } else if (isWebSocketHandshake(request) || !isWellFormed(request)) {
      // The hooks refuse the malformed; put in again, it might be read as something else.
      open.add(socket);
      socket.once('close', () => open.delete(socket));
      pending.set(request, { socket, head });
      app.routing(request, responseOn(socket, request));
    } else {
      handBack(server, request, socket, head);
    }
  });
  // The server knows nothing of upgraded connections, but would wait for them.
  app.addHook('preClose', (done) => {
    for (const socket of open) socket.destroy();
    done();
  });
}

function responseOn(socket: Duplex, request: IncomingMessage): ServerResponse {
  // Without a listener a reset of this socket would end the process.
  socket.on('error', () => socket.destroy());
  const response = new ServerResponse(request);
  response.shouldKeepAlive = false;
  response.assignSocket(socket as Parameters<ServerResponse['assignSocket']>[0]);
  response.on('finish', () => {
    if (response.socket) closeGently(socket);
  });
  return response;
}

// RFC 6455, section 4.1; HTTP/1.0 has no upgrades (RFC 9110, section 7.8).
function isWebSocketHandshake(request: IncomingMessage): boolean {
  const isWebSocket = request.headers.upgrade?.toLowerCase() === 'websocket';
  const { method, httpVersion } = request;
  return isWebSocket && method === 'GET' && httpVersion === '1.1' && !hasBody(request);
}

/**
 * Checks what remains of the handshake, before a credential goes out with it (RFC 6455, section
 * 4.2.1).
 * @throws SidecarError AUTH_REQUEST_INVALID
 */
export function checkHandshake({ headers }: IncomingMessage): void {
  const { connection = '', 'sec-websocket-key': key = '' } = headers;
  const isComplete =
    headers['sec-websocket-version'] === '13' &&
    /^[A-Za-z0-9+/]{22}==$/.test(key) &&
    // It would be taken out on the way.
    !/sec-websocket/i.test(connection);
  if (isComplete) return;
  throw new SidecarError(
    'AUTH_REQUEST_INVALID',
    'this is no WebSocket handshake of version 13 with a key of 16 octets',
  );
}

/**
 * Any other upgrade is a plain request whose `upgrade` header is ignored (RFC 9110, section 7.8),
 * such as the h2c that some HTTP clients offer. Node took its connection out of HTTP already and
 * left the body unread, so the request goes in again from the start, without that header.
 */
function handBack(server: Server, request: IncomingMessage, socket: Duplex, head: Buffer): void {
  const { method, url, httpVersion, rawHeaders } = request;
  const lines = [`${method} ${url} HTTP/${httpVersion}`];
  for (let i = 0; i + 1 < rawHeaders.length; i += 2) {
    const name = rawHeaders[i] as string;
    if (name.toLowerCase() !== 'upgrade') lines.push(`${name}: ${rawHeaders[i + 1]}`);
  }
  const text = Buffer.from(`${lines.join('\r\n')}\r\n\r\n`, 'latin1');
  socket.unshift(Buffer.concat([text, head]));
  server.emit('connection', socket);
}

/** Whether a request came as an upgrade to WebSocket. */
export function isUpgrade(request: IncomingMessage): boolean {
  return pending.has(request);
}

/**
 * Watches a client that waits for its upgrade: keeps what it sends early, and closes the response
 * when it hangs up, which a socket that nobody reads would never show.
 */
export function holdClient(request: IncomingMessage): HeldClient {
  const upgrade = pending.get(request);
  if (!upgrade) throw new Error('not an upgrade');
  return new HeldClient(upgrade);
}

export class HeldClient {
  readonly #socket: Duplex;
  readonly #early: Buffer[];
  #size: number;
  #readBefore = 0;
  #writtenBefore = 0;

  constructor({ socket, head }: PendingUpgrade) {
    this.#socket = socket;
    this.#early = head.length > 0 ? [head] : [];
    this.#size = head.length;
    socket.on('data', this.#onData);
    socket.on('end', this.#onEnd);
  }

  /** The answer is no: what the client sends is dropped, but its hang-up is still seen. */
  refuse(): void {
    this.#socket.off('data', this.#onData);
    this.#early.length = 0;
    this.#socket.resume();
  }

  /**
   * Answers 101 and joins the two connections.
   * @param turnedAway see {@link watchOpening}
   */
  join(
    response: ServerResponse,
    headers: string[],
    upstream: Duplex,
    tunnels: OpenTunnels,
    turnedAway: () => void,
  ): Tunnel {
    // An HTTP server hands out no other duplex; its counters cost nothing.
    const client = this.#socket as Socket;
    client.off('data', this.#onData);
    client.off('end', this.#onEnd);
    client.pause();
    response.detachSocket(client as Parameters<ServerResponse['detachSocket']>[0]);
    client.write(headText(101, 'Switching Protocols', headers), 'latin1');
    this.#readBefore = client.bytesRead - this.#size;
    this.#writtenBefore = client.bytesWritten;
    watchOpening(client, upstream, this.#size, turnedAway);
    return tunnels.open(client, upstream, this.#early);
  }

  /** Bytes that came from the client, and went to it, since it was joined. */
  get passed(): { up: number; down: number } {
    const { bytesRead, bytesWritten } = this.#socket as Socket;
    return { up: bytesRead - this.#readBefore, down: bytesWritten - this.#writtenBefore };
  }

  readonly #onData = (chunk: Buffer): void => {
    this.#early.push(chunk);
    this.#size += chunk.length;
    if (this.#size > EARLY_BYTES) this.#socket.destroy();
  };

  readonly #onEnd = (): void => {
    this.#socket.destroy();
  };
}
