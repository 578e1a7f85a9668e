import { type IncomingMessage, type Server, ServerResponse } from 'node:http';
import type { Duplex } from 'node:stream';
import type { FastifyInstance } from 'fastify';
import { closeGently } from '../../inbound/lingering-close.ts';
import type { PendingResponses } from '../../inbound/pending-responses.ts';
import { connectionEvent } from '../../inbound/tls.ts';
import { isWellFormed } from '../../inbound/well-formed.ts';
import { isWebSocketHandshake } from './handshake.ts';
import { WaitingClient } from './waiting-client.ts';

/**
 * Routes the `upgrade` events of the server through Fastify, so that an upgrade passes the same
 * checks as any request and always gets a response. It takes the place of http-proxy's WebSocket
 * support, which sends the 101 before it has dialled (a 426 or 401 of the upstream becomes a close
 * code) and decodes every frame.
 */
export function routeUpgrades(app: FastifyInstance, pendingResponses: PendingResponses): void {
  const server = app.server as Server;
  const open = new Set<Duplex>();
  server.on('upgrade', (request: IncomingMessage, socket: Duplex, head: Buffer) => {
    if (pendingResponses.first(socket)) {
      // Sent ahead of a response that is not finished, and no longer to be queued behind it.
      socket.destroy();
    } else if (isWebSocketHandshake(request) || !isWellFormed(request)) {
      // The hooks refuse malformed requests; handed back, one might be read as something else.
      open.add(socket);
      socket.once('close', () => open.delete(socket));
      app.routing(request, new UpgradeResponse(request, socket, head));
    } else {
      handBack(server, request, socket, head);
    }
  });
  // The server does not know upgraded connections, but would wait for them.
  app.addHook('preClose', (done) => {
    for (const socket of open) socket.destroy();
    done();
  });
}

/** The response to an upgrade. Node makes none, so it is also what carries the client to the proxy. */
class UpgradeResponse extends ServerResponse {
  readonly client: WaitingClient;

  constructor(request: IncomingMessage, socket: Duplex, head: Buffer) {
    super(request);
    this.client = new WaitingClient(socket, head);
    // Without a listener a reset of this socket would end the process.
    socket.on('error', () => socket.destroy());
    this.shouldKeepAlive = false;
    this.assignSocket(socket as Parameters<ServerResponse['assignSocket']>[0]);
    this.on('finish', () => {
      if (this.socket) closeGently(socket);
    });
  }
}

/** The client that waits for this response to its upgrade; null for any other request. */
export function waitingClientOf(response: ServerResponse): WaitingClient | null {
  return response instanceof UpgradeResponse ? response.client : null;
}

/**
 * Any other upgrade is a plain request whose `upgrade` header is ignored (RFC 9110, section 7.8),
 * such as the h2c that some HTTP clients offer. Node has already taken its connection out of HTTP and
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
  server.emit(connectionEvent(server), socket);
}
