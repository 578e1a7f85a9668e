import type { AddressInfo } from 'node:net';
import httpProxy from '@fastify/http-proxy';
import Fastify from 'fastify';
import { tuneHeap } from '../../src/commands/process.ts';
import { exchange, upstreamOf } from './bare-exchange.ts';

// What the sidecar is built on, and none of its own work.
tuneHeap();
const { origin, agent } = upstreamOf(process.argv);
const app = Fastify({ forceCloseConnections: true });
await app.register(httpProxy, {
  upstream: origin,
  prefix: '/backend-api',
  rewritePrefix: '/backend-api',
  undici: agent,
  preHandler: (request, reply, _done) => {
    queueMicrotask(() => exchange(agent, origin, request.raw, reply.raw));
  },
});
await app.listen({ host: '127.0.0.1', port: 0 });
process.send?.({ port: (app.server.address() as AddressInfo).port });
process.once('disconnect', () => process.exit());
