import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Socket } from 'node:net';
import type { Test } from 'tap';
import { TUNNEL_LIMITS, Tunnel, type TunnelWatch } from '../../src/proxy/websocket/tunnel.ts';

export const text = (length: number, first = 0x81) =>
  Buffer.concat([Buffer.from([first, length]), Buffer.alloc(length, 'd')]);
export const masked = (length: number, first = 0x81) =>
  Buffer.concat([Buffer.from([first, 0x80 | length, 1, 2, 3, 4]), Buffer.alloc(length, 'u')]);
export const GOING_AWAY = Buffer.from([0x88, 2, 0x03, 0xe9]);

export interface TunnelWithPeers {
  tunnel: Tunnel;
  client: Socket;
  upstream: Socket;
  /** Sends, and waits until the other side has it. */
  up(...frames: Buffer[]): Promise<void>;
  down(...frames: Buffer[]): Promise<void>;
  /** Everything that arrived. */
  atClient(): Buffer;
  atUpstream(): Buffer;
  time: { now: number };
}

/** A tunnel between real connections, with a clock in the hands of the test. */
export async function openTunnel(
  t: Test,
  limits = {},
  watch?: TunnelWatch,
): Promise<TunnelWithPeers> {
  const [client, near] = await connection(t);
  const [far, upstream] = await connection(t);
  const time = { now: 0 };
  const tunnel = new Tunnel(near, far, [], () => time.now, watch, {
    ...TUNNEL_LIMITS,
    ...limits,
  });
  const fromClient = collect(upstream);
  const fromUpstream = collect(client);
  return {
    tunnel,
    client,
    upstream,
    up: (...frames) => transfer(client, fromClient, frames),
    down: (...frames) => transfer(upstream, fromUpstream, frames),
    atClient: () => Buffer.concat(fromUpstream.chunks),
    atUpstream: () => Buffer.concat(fromClient.chunks),
    time,
  };
}

interface Collected {
  socket: Socket;
  chunks: Buffer[];
  size: number;
}

function collect(socket: Socket): Collected {
  const collected: Collected = { socket, chunks: [], size: 0 };
  socket.on('data', (chunk: Buffer) => {
    collected.chunks.push(chunk);
    collected.size += chunk.length;
  });
  return collected;
}

async function transfer(from: Socket, to: Collected, frames: Buffer[]): Promise<void> {
  const bytes = Buffer.concat(frames);
  const until = to.size + bytes.length;
  from.write(bytes);
  while (to.size < until) await once(to.socket, 'data');
}

/** Both ends of a TCP connection, the second as an HTTP server has it. */
async function connection(t: Test): Promise<[Socket, Socket]> {
  const server = createServer({ allowHalfOpen: true });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const accepted = once(server, 'connection');
  const dialled = connect((server.address() as AddressInfo).port, '127.0.0.1');
  const [socket] = (await accepted) as [Socket];
  for (const end of [dialled, socket]) {
    end.on('error', () => end.destroy());
    t.teardown(() => end.destroy());
  }
  server.close();
  return [dialled, socket];
}
