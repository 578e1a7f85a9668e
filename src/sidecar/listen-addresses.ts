import { lookup } from 'node:dns/promises';
import { once } from 'node:events';
import { type AddressInfo, createServer, isIP, type Server } from 'node:net';
import type { FastifyInstance } from 'fastify';
import { errnoOf } from '../base/errors.ts';
import { isLoopbackHost } from '../base/host.ts';

/** The system does not have this address, for example IPv6 in a container, whatever names it. */
const ABSENT = new Set(['EADDRNOTAVAIL', 'EAFNOSUPPORT']);

/**
 * Listens on every address of `host`. Fastify would make a server of its own for each, without what
 * is attached to the first one; here there is one HTTP server, to which the others hand their
 * connections.
 * @param warn gets a line for an address that this machine does not have
 * @returns the first address
 */
export async function listenTcp(
  app: FastifyInstance,
  host: string,
  port: number,
  warn: (line: string) => void,
): Promise<AddressInfo> {
  const [first, ...more] = await addressesOf(host);
  const others: Server[] = [];
  if (more.length > 0) {
    // Ahead of the end of the HTTP server, so that nothing new comes meanwhile.
    app.addHook('preClose', (done) => {
      for (const other of others) other.close();
      done();
    });
  }
  await app.listen({ host: first, port });
  const address = app.server.address() as AddressInfo;
  for (const other of more) {
    try {
      others.push(await handOver(app.server, other, address.port));
    } catch (error) {
      if (!ABSENT.has(errnoOf(error))) throw error;
      warn(`${host} is ${other} as well, which this machine does not have`);
    }
  }
  return address;
}

/**
 * IPv4 first, because that is the one that every machine has.
 * @throws an error when a name for this machine leads to another address
 */
async function addressesOf(host: string): Promise<[string, ...string[]]> {
  if (isIP(host) !== 0) return [host];
  const found = (await lookup(host, { all: true })).sort((a, b) => a.family - b.family);
  const [first, ...more] = new Set(found.map(({ address }) => address));
  const foreign = [first, ...more].find((address) => !isLoopbackHost(address ?? ''));
  if (isLoopbackHost(host) && foreign !== undefined) {
    throw new Error(`it resolves to ${foreign}, which other machines may reach`);
  }
  return [first ?? host, ...more];
}

/** @returns a server with the options of Node's HTTP server that concern connections */
async function handOver(server: Server, host: string, port: number): Promise<Server> {
  const other = createServer({ allowHalfOpen: true, noDelay: true }, (socket) =>
    server.emit('connection', socket),
  );
  other.listen({ host, port });
  await once(other, 'listening');
  return other;
}
