import { once } from 'node:events';
import { createServer, type Server, type Socket } from 'node:net';
import { setImmediate as nextTurn } from 'node:timers/promises';
import type { Test } from 'tap';
import { closedPort } from './upstream.ts';

/** What an upstream does to a connection once the head of a request has come over it. */
export type Fault = (socket: Socket) => Promise<void> | void;

const NEXT = 'HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\nnext';

/** An upstream that does one fault at a time, and answers every other request with `next`. */
export class FaultyUpstream {
  readonly port: number;
  /** Request heads since the last fault was ordered. */
  heads: string[] = [];
  #fault: Fault | null = null;
  #server: Server | null = null;
  readonly #open = new Set<Socket>();

  private constructor(port: number) {
    this.port = port;
  }

  static async start(t: Test): Promise<FaultyUpstream> {
    const upstream = new FaultyUpstream(await closedPort());
    t.teardown(() => upstream.stop());
    await upstream.listen();
    return upstream;
  }

  /** The next request gets `fault`. */
  order(fault: Fault): void {
    this.#fault = fault;
    this.heads = [];
  }

  async listen(): Promise<void> {
    const server = createServer({ allowHalfOpen: true }, (socket) => this.#accept(socket));
    this.#server = server;
    server.listen(this.port, '127.0.0.1');
    await once(server, 'listening');
  }

  /** From now on nobody listens. */
  async stop(): Promise<void> {
    const server = this.#server;
    if (!server) return;
    this.#server = null;
    const closed = once(server, 'close');
    server.close();
    for (const socket of this.#open) socket.destroy();
    await closed;
  }

  #accept(socket: Socket): void {
    this.#open.add(socket);
    socket.once('close', () => this.#open.delete(socket));
    socket.on('error', () => socket.destroy());
    socket.on('end', () => socket.end());
    let text = '';
    socket.on('data', (chunk: Buffer) => {
      text += chunk.toString('latin1');
      const end = text.indexOf('\r\n\r\n');
      if (end === -1) return;
      this.heads.push(text.slice(0, end));
      text = '';
      const fault = this.#fault;
      this.#fault = null;
      if (fault) void fault(socket);
      else socket.write(NEXT);
    });
  }
}

/** Writes `text`, and once it has gone ends the connection as `how` says. */
export function says(text: string, how: 'end' | 'resetAndDestroy' | null): Fault {
  return (socket) => {
    socket.write(text, 'latin1', () => how && socket[how]());
  };
}

/** Writes `text` octet by octet, as slowly as a turn of the event loop each. */
export function drips(text: string): Fault {
  return async (socket) => {
    socket.setNoDelay(true);
    for (const octet of text) {
      socket.write(octet, 'latin1');
      await nextTurn();
    }
  };
}

/** Writes `start`, then `text` again and again for as long as somebody reads it. */
export function goesOn(start: string, text: string): Fault {
  return (socket) => {
    const more = () => {
      while (!socket.destroyed && socket.write(text));
    };
    socket.on('drain', more).write(start);
    more();
  };
}
