import { once } from 'node:events';
import { connect, createServer, type Socket } from 'node:net';
import type { TestScope } from '../helpers/program.ts';

/** A wire that can be cut and joined again. */
export class TcpProxy {
  port = 0;
  readonly #pairs = new Set<[Socket, Socket]>();
  #isCut = false;

  static async start(t: TestScope, target: number): Promise<TcpProxy> {
    const proxy = new TcpProxy();
    const server = createServer((client) => proxy.#join(client, target));
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    const address = server.address();
    proxy.port = typeof address === 'object' && address ? address.port : 0;
    t.teardown(async () => {
      proxy.cut();
      for (const [client, upstream] of proxy.#pairs) {
        client.destroy();
        upstream.destroy();
      }
      server.close();
    });
    return proxy;
  }

  /** From now on nothing passes, and nobody is told: as where a cable was pulled. */
  cut(): void {
    this.#isCut = true;
    for (const [client, upstream] of this.#pairs) {
      client.unpipe(upstream);
      upstream.unpipe(client);
    }
  }

  /** What was cut breaks off; new connections pass. */
  join(): void {
    this.#isCut = false;
    for (const [client, upstream] of this.#pairs) {
      client.destroy();
      upstream.destroy();
    }
  }

  #join(client: Socket, target: number): void {
    client.on('error', () => client.destroy());
    const upstream = connect({ port: target, host: '127.0.0.1' });
    upstream.on('error', () => client.destroy());
    const pair: [Socket, Socket] = [client, upstream];
    this.#pairs.add(pair);
    const end = () => {
      this.#pairs.delete(pair);
      client.destroy();
      upstream.destroy();
    };
    client.once('close', end);
    upstream.once('close', end);
    if (this.#isCut) return;
    client.pipe(upstream);
    upstream.pipe(client);
  }
}
