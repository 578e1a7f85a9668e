import { createServer } from 'node:http';
import { type AddressInfo, connect } from 'node:net';
import { connect as connectTls } from 'node:tls';
import { tuneHeap } from '../../src/commands/process.ts';
import { exchange, upstreamOf } from './bare-exchange.ts';

// The least that a proxy on Node does: node:http on one side, undici on the other, and nothing
// between them but the headers of the hop taken out; an upgrade becomes two sockets that are piped.
// It checks, authorises, counts and logs nothing.
tuneHeap();
const { origin, agent, secureContext } = upstreamOf(process.argv);
const { port, protocol } = new URL(origin);

const server = createServer((request, response) => {
  // The parser hands over what came with the head once this turn is over.
  queueMicrotask(() => exchange(agent, origin, request, response));
});

server.on('upgrade', ({ method, url, rawHeaders }, client, head) => {
  const to = { port: Number(port), host: '127.0.0.1' };
  const upstream = protocol === 'https:' ? connectTls({ ...to, secureContext }) : connect(to);
  upstream.setNoDelay(true);
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
