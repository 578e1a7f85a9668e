import { once } from 'node:events';
import { createServer, type IncomingMessage } from 'node:http';
import { type AddressInfo, connect } from 'node:net';
import type { Duplex } from 'node:stream';
import type { Test } from 'tap';

export interface ConnectProxy {
  url: string;
  /** TCP connections so far. */
  connections: number;
  /** `host:port` of every tunnel that was asked for. */
  tunnels: string[];
  /** `Proxy-Authorization` of each. */
  credentials: (string | undefined)[];
  /** Plain requests; a tunnelling client sends none. */
  requests: string[];
}

/**
 * An HTTP proxy that makes tunnels with CONNECT, or refuses them.
 * @param refusal status and reason; null refuses nothing
 * @param success status and reason with which it says that there is a tunnel
 * @param leadTo a port of this machine that every tunnel leads to, whatever was asked for
 */
export async function startConnectProxy(
  t: Test,
  refusal: string | number | null = null,
  success = '200 Connection Established',
  leadTo: number | null = null,
): Promise<ConnectProxy> {
  const proxy: ConnectProxy = {
    url: '',
    connections: 0,
    tunnels: [],
    credentials: [],
    requests: [],
  };
  const open = new Set<Duplex>();
  const server = createServer((request, response) => {
    proxy.requests.push(request.url ?? '');
    response.writeHead(400).end();
  });
  server.on('connection', () => {
    proxy.connections++;
  });
  server.on('connect', (request: IncomingMessage, client: Duplex, head: Buffer) => {
    proxy.tunnels.push(request.url ?? '');
    proxy.credentials.push(request.headers['proxy-authorization']);
    if (refusal !== null) {
      client.end(`HTTP/1.1 ${refusal}\r\ncontent-length: 0\r\n\r\n`);
      return;
    }
    const { hostname, port } = new URL(`http://${request.url}`);
    const target = leadTo === null ? connect(Number(port), hostname) : connect(leadTo, '127.0.0.1');
    for (const socket of [client, target]) {
      open.add(socket);
      socket.on('error', () => socket.destroy());
    }
    target.once('connect', () => {
      client.write(`HTTP/1.1 ${success}\r\n\r\n`);
      target.write(head);
      target.pipe(client).pipe(target);
    });
    target.once('close', () => client.destroy());
    client.once('close', () => target.destroy());
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  t.teardown(() => {
    for (const socket of open) socket.destroy();
    server.closeAllConnections();
    server.close();
  });
  proxy.url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  return proxy;
}
