import type { AddressInfo } from 'node:net';
import httpProxy from '@fastify/http-proxy';
import Fastify from 'fastify';

const app = Fastify({ bodyLimit: Number.MAX_SAFE_INTEGER, forceCloseConnections: true });
await app.register(httpProxy, {
  upstream: process.argv[2] ?? '',
  websocket: true,
});
await app.listen({ host: '127.0.0.1', port: 0 });
process.send?.({ port: (app.server.address() as AddressInfo).port });
process.once('disconnect', () => process.exit());
