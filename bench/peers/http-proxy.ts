import { createRequire } from 'node:module';
import { startForked } from './forked.ts';
import type { Peer } from './peer.ts';

/** @fastify/http-proxy as its README sets it up: it passes everything on and authorises nothing. */
export function httpProxyPeer(): Peer {
  const { version } = createRequire(import.meta.url)('@fastify/http-proxy/package.json');
  return {
    name: 'http-proxy',
    description: `@fastify/http-proxy ${version}, no auth, no log, Node ${process.versions.node}`,
    credential: null,
    upgrades: true,
    speaksTls: true,
    isNode: true,
    start: (place) => startForked('./http-proxy-main.js', place),
  };
}
