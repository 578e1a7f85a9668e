import { type AddressInfo, connect, createServer, type Socket } from 'node:net';

// A stretch of network on loopback, in a process of its own: `relay.js PORT` passes connections on to
// that port, and says `{ports}` to its parent, one for each distance of `DISTANCES_MS`. The round trip
// that makes a TCP connection is added to the first bytes, because loopback connects at once.

/** Each way; milliseconds. */
export const DISTANCES_MS = [0, 10, 40];

function delayed(from: Socket, to: Socket, delayMs: number, notBefore: number): void {
  const later = (task: () => void) => {
    if (delayMs === 0) task();
    else setTimeout(task, Math.max(delayMs, notBefore + delayMs - performance.now()));
  };
  from.on('data', (chunk) => later(() => to.writable && to.write(chunk)));
  from.on('end', () => later(() => to.end()));
  from.on('error', () => to.destroy());
  from.on('close', () => later(() => to.destroy()));
}

const upstreamPort = Number(process.argv[2]);
const servers = DISTANCES_MS.map((delayMs) =>
  createServer({ allowHalfOpen: true, noDelay: true }, (client) => {
    const upstream = connect({ port: upstreamPort, host: '127.0.0.1', noDelay: true });
    delayed(client, upstream, delayMs, performance.now() + 2 * delayMs);
    delayed(upstream, client, delayMs, 0);
  }),
);
if (process.send) {
  let listening = 0;
  for (const server of servers) {
    server.listen(0, '127.0.0.1', () => {
      if (++listening < servers.length) return;
      process.send?.({ ports: servers.map((each) => (each.address() as AddressInfo).port) });
    });
  }
  process.once('disconnect', () => process.exit());
}
