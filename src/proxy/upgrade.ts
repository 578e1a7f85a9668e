import { type IncomingMessage, type Server, ServerResponse } from 'node:http';
import type { Duplex } from 'node:stream';
import type { FastifyInstance } from 'fastify';

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

/** Bytes that a client may send before the answer to its upgrade; more waits in the kernel. */
const EARLY_BYTES = 64 * 1024;

/** Routes the `upgrade` events of the server through Fastify. */
export function routeUpgrades(app: FastifyInstance): void {
  const server = app.server as Server;
  server.on('upgrade', (request: IncomingMessage, socket: Duplex, head: Buffer) => {
    // Without a listener a reset of this socket would end the process.
    socket.on('error', () => socket.destroy());
    const response = new ServerResponse(request);
    response.shouldKeepAlive = false;
    response.assignSocket(socket as Parameters<ServerResponse['assignSocket']>[0]);
    response.on('finish', () => {
      if (response.socket) closeGently(socket);
    });
    pending.set(request, { socket, head });
    app.routing(request, response);
  });
}

/** Whether a request came as an upgrade to WebSocket. Other protocols are served as plain HTTP. */
export function isWebSocketUpgrade(request: IncomingMessage): boolean {
  return pending.has(request) && request.headers.upgrade?.toLowerCase() === 'websocket';
}

/** Whether the parser let go of the connection, so that a body of this request cannot be read. */
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

  constructor({ socket, head }: PendingUpgrade) {
    this.#socket = socket;
    this.#early = head.length > 0 ? [head] : [];
    this.#size = head.length;
    socket.on('data', this.#onData);
    socket.on('end', this.#onEnd);
  }

  /** Stops watching, without taking the connection over. */
  release(): void {
    this.#socket.off('data', this.#onData);
    this.#socket.off('end', this.#onEnd);
  }

  /** Answers 101 and joins the two connections byte by byte until either side ends. */
  join(response: ServerResponse, headers: string[], upstream: Duplex): void {
    const client = this.#socket;
    this.release();
    client.pause();
    response.detachSocket(client as Parameters<ServerResponse['detachSocket']>[0]);
    client.write(head101(headers), 'latin1');
    for (const chunk of this.#early) upstream.write(chunk);
    upstream.on('error', () => upstream.destroy());
    client.on('close', () => upstream.destroy());
    upstream.on('close', () => closeGently(client));
    client.pipe(upstream);
    upstream.pipe(client);
  }

  readonly #onData = (chunk: Buffer): void => {
    this.#early.push(chunk);
    this.#size += chunk.length;
    if (this.#size >= EARLY_BYTES) this.#socket.pause();
  };

  readonly #onEnd = (): void => {
    this.#socket.destroy();
  };
}

function head101(headers: string[]): string {
  const lines = ['HTTP/1.1 101 Switching Protocols'];
  for (let i = 0; i + 1 < headers.length; i += 2) lines.push(`${headers[i]}: ${headers[i + 1]}`);
  return `${lines.join('\r\n')}\r\n\r\n`;
}

/** How long a client that was told the end may take to hang up itself; milliseconds. */
const LINGER_MS = 5_000;

// Destroying at once could reset the connection and lose what was sent last; waiting for ever would
// leak it.
function closeGently(client: Duplex): void {
  if (client.destroyed) return;
  if (!client.writableEnded) client.end();
  client.resume();
  const timer = setTimeout(() => client.destroy(), LINGER_MS);
  timer.unref();
  client.once('close', () => clearTimeout(timer));
}
