import { once } from 'node:events';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo, Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import type { Test } from 'tap';

export interface SeenRequest {
  authorization: string;
  body: Buffer;
}

type Handler = (request: IncomingMessage, response: ServerResponse, seen: number) => void;

export interface ScriptedUpstream {
  origin: string;
  /** Requests whose body came whole, in order. */
  whole: SeenRequest[];
  /** `Authorization` of every request and upgrade, in order of arrival. */
  arrivals: string[];
  onUpgrade: (request: IncomingMessage, socket: Duplex, seen: number) => void;
}

/** A server that answers as the test says; `seen` counts the requests before this one. */
export async function startScriptedUpstream(t: Test, handler: Handler): Promise<ScriptedUpstream> {
  const upstream: ScriptedUpstream = {
    origin: '',
    whole: [],
    arrivals: [],
    onUpgrade: (_request, socket) => socket.destroy(),
  };
  const arrive = (request: IncomingMessage) =>
    upstream.arrivals.push(request.headers.authorization ?? '') - 1;
  const server = createServer((request, response) => {
    const seen = arrive(request);
    const chunks: Buffer[] = [];
    request.on('data', (chunk: Buffer) => chunks.push(chunk));
    request.on('end', () =>
      upstream.whole.push({
        authorization: request.headers.authorization ?? '',
        body: Buffer.concat(chunks),
      }),
    );
    handler(request, response, seen);
  });
  server.on('upgrade', (request, socket) => {
    socket.on('error', () => socket.destroy());
    upstream.onUpgrade(request, socket, arrive(request));
  });
  const open = new Set<Socket>();
  server.on('connection', (socket) => {
    open.add(socket);
    socket.once('close', () => open.delete(socket));
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  t.teardown(() => {
    for (const socket of open) socket.destroy();
    server.close();
  });
  upstream.origin = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  return upstream;
}

/** Calls back when the body of a request has come whole. */
export function whenWhole(request: IncomingMessage, act: () => void): void {
  request.resume();
  request.once('end', act);
}
