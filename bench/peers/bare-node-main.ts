import { createServer, type IncomingMessage } from 'node:http';
import { type AddressInfo, connect } from 'node:net';
import { Agent, type Dispatcher } from 'undici';
import { letHeapGrow } from '../../src/commands/process.ts';

// The least that a proxy on Node does: node:http on one side, undici on the other, and nothing
// between them but the headers of the hop taken out; an upgrade becomes two sockets that are piped.
// It checks, authorises, counts and logs nothing.
letHeapGrow();
const port = Number(process.argv[2]);
const origin = `http://127.0.0.1:${port}`;
const agent = new Agent({ connections: null, headersTimeout: 0, bodyTimeout: 0 });

const HOP = new Set(['connection', 'host', 'keep-alive', 'transfer-encoding']);

function endToEnd(raw: readonly (Buffer | string)[]): string[] {
  const headers: string[] = [];
  for (let i = 0; i + 1 < raw.length; i += 2) {
    const name = String(raw[i]);
    if (!HOP.has(name.toLowerCase())) headers.push(name, String(raw[i + 1]));
  }
  return headers;
}

/** In one piece where it came with its head, as in the sidecar. */
function bodyOf(request: IncomingMessage): Buffer | IncomingMessage {
  const { 'content-length': length } = request.headers;
  if (String(request.readableLength) !== length) return request;
  const body = request.read() as Buffer;
  request.resume();
  return body;
}

const server = createServer((request, response) => {
  // The parser hands over what came with the head once this turn is over.
  queueMicrotask(() => {
    agent.dispatch(
      {
        origin,
        path: request.url ?? '/',
        method: request.method as Dispatcher.HttpMethod,
        headers: endToEnd(request.rawHeaders),
        body: bodyOf(request),
      },
      {
        onRequestStart: () => undefined,
        onResponseStart(controller, status) {
          response.writeHead(status, endToEnd(controller.rawHeaders as (Buffer | string)[]));
        },
        onResponseData: (_controller, chunk) => void response.write(chunk),
        onResponseEnd: () => void response.end(),
        onResponseError: () => void response.destroy(),
      },
    );
  });
});

server.on('upgrade', ({ method, url, rawHeaders }, client, head) => {
  const upstream = connect({ port, host: '127.0.0.1', noDelay: true });
  const lines = [`${method} ${url} HTTP/1.1`];
  for (let i = 0; i + 1 < rawHeaders.length; i += 2) {
    lines.push(`${rawHeaders[i]}: ${rawHeaders[i + 1]}`);
  }
  upstream.write(`${lines.join('\r\n')}\r\n\r\n`);
  upstream.write(head);
  client.pipe(upstream).pipe(client);
  client.on('error', () => upstream.destroy());
  upstream.on('error', () => client.destroy());
});

server.listen({ host: '127.0.0.1', port: 0 }, () => {
  process.send?.({ port: (server.address() as AddressInfo).port });
});
process.once('disconnect', () => process.exit());
