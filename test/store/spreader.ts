import { once } from 'node:events';
import { type AddressInfo, connect, createServer } from 'node:net';
import type { TestScope } from '../helpers/program.ts';

/**
 * Spreads connections over ports, one after the other, as a service of Kubernetes does: who is connected
 * stays, also with a port that takes no new connections any more.
 */
export class Spreader {
  readonly port: number;
  #ports: number[] = [];
  #next = 0;

  private constructor(port: number) {
    this.port = port;
  }

  static async start(t: TestScope): Promise<Spreader> {
    const open = new Set<() => void>();
    const server = createServer({ allowHalfOpen: true, noDelay: true }, (client) => {
      const target = connect({
        port: spreader.#pick(),
        host: '127.0.0.1',
        allowHalfOpen: true,
        noDelay: true,
      });
      const end = () => {
        client.destroy();
        target.destroy();
      };
      open.add(end);
      for (const socket of [client, target]) socket.on('error', end).on('close', end);
      client.once('close', () => open.delete(end));
      client.pipe(target).pipe(client);
    });
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    const spreader = new Spreader((server.address() as AddressInfo).port);
    t.teardown(async () => {
      for (const end of open) end();
      server.close();
    });
    return spreader;
  }

  add(port: number): void {
    this.#ports.push(port);
  }

  remove(port: number): void {
    this.#ports = this.#ports.filter((other) => other !== port);
  }

  #pick(): number {
    this.#next = (this.#next + 1) % this.#ports.length;
    return this.#ports[this.#next] ?? 0;
  }
}
