import { once } from 'node:events';
import {
  createServer as createHttpServer,
  type IncomingMessage,
  type ServerResponse,
} from 'node:http';
import { createServer as createHttpsServer } from 'node:https';
import { type AddressInfo, createServer, type Server, type Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import type { Test } from 'tap';

/** Things that arrive, to be awaited one by one. */
class Arrivals<Thing> {
  readonly #ready: Thing[] = [];
  readonly #waiting: ((thing: Thing) => void)[] = [];

  add(thing: Thing): void {
    const wake = this.#waiting.shift();
    if (wake) wake(thing);
    else this.#ready.push(thing);
  }

  next(): Promise<Thing> {
    const thing = this.#ready.shift();
    return thing ? Promise.resolve(thing) : new Promise((resolve) => this.#waiting.push(resolve));
  }
}

export interface UpstreamExchange {
  request: IncomingMessage;
  response: ServerResponse;
}

export interface UpstreamUpgrade {
  request: IncomingMessage;
  socket: Duplex;
  head: Buffer;
}

export interface HttpUpstream {
  origin: string;
  port: number;
  /** Every request and upgrade so far. */
  requests: IncomingMessage[];
  /** TCP connections so far. */
  connections: number;
  /** The next request, its answer still to be given by the test. */
  next(): Promise<UpstreamExchange>;
  nextUpgrade(): Promise<UpstreamUpgrade>;
}

type Handler = (request: IncomingMessage, response: ServerResponse) => void;

/**
 * An upstream that does what the test says: it answers by `handler`, or leaves each exchange to
 * whoever calls `next`.
 */
export async function startUpstream(
  t: Test,
  handler: Handler | null = null,
  tls: { key: string; cert: string } | null = null,
): Promise<HttpUpstream> {
  const exchanges = new Arrivals<UpstreamExchange>();
  const upgrades = new Arrivals<UpstreamUpgrade>();
  const onRequest: Handler = (request, response) => {
    upstream.requests.push(request);
    if (handler) handler(request, response);
    else exchanges.add({ request, response });
  };
  const server = tls ? createHttpsServer(tls, onRequest) : createHttpServer(onRequest);
  server.on('upgrade', (request: IncomingMessage, socket: Duplex, head: Buffer) => {
    upstream.requests.push(request);
    socket.on('error', () => socket.destroy());
    upgrades.add({ request, socket, head });
  });
  server.on('connection', () => {
    upstream.connections++;
  });
  const port = await listen(t, server);
  const upstream: HttpUpstream = {
    origin: `${tls ? 'https' : 'http'}://127.0.0.1:${port}`,
    port,
    requests: [],
    connections: 0,
    next: () => exchanges.next(),
    nextUpgrade: () => upgrades.next(),
  };
  return upstream;
}

export interface TcpUpstream {
  origin: string;
  port: number;
  next(): Promise<Socket>;
}

/**
 * An upstream of which the test writes every byte.
 * @param serve gets each connection; null leaves them to whoever calls `next`
 */
export async function startTcpUpstream(
  t: Test,
  serve: ((socket: Socket) => void) | null = null,
): Promise<TcpUpstream> {
  const sockets = new Arrivals<Socket>();
  const server = createServer({ allowHalfOpen: true }, (socket) => {
    socket.on('error', () => socket.destroy());
    if (serve) serve(socket);
    else sockets.add(socket);
  });
  const port = await listen(t, server);
  return { origin: `http://127.0.0.1:${port}`, port, next: () => sockets.next() };
}

async function listen(t: Test, server: Server): Promise<number> {
  const open = new Set<Socket>();
  server.on('connection', (socket: Socket) => {
    open.add(socket);
    socket.once('close', () => open.delete(socket));
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  t.teardown(() => {
    for (const socket of open) socket.destroy();
    server.close();
  });
  return (server.address() as AddressInfo).port;
}

/** A port at which nobody listens. */
export async function closedPort(): Promise<number> {
  const server = createServer();
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  server.close();
  await once(server, 'close');
  return port;
}

/** Headers of a request in the order and spelling of the wire, without the named ones. */
export function wireHeaders(request: IncomingMessage, ...without: string[]): string[] {
  const { rawHeaders } = request;
  return rawHeaders.filter((_, i) => {
    const name = rawHeaders[i - (i % 2)] ?? '';
    return !without.includes(name.toLowerCase());
  });
}
