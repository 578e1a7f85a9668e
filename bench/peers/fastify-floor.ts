import { startForked } from './forked.ts';
import type { Peer } from './peer.ts';

/** What Fastify and the mount of http-proxy cost before anything is authorised, counted or logged. */
export function fastifyFloorPeer(): Peer {
  return {
    name: 'fastify-floor',
    description: `Fastify, the mount of http-proxy, and one dispatch, Node ${process.versions.node}`,
    credential: null,
    upgrades: false,
    speaksTls: true,
    isNode: true,
    start: (place) => startForked('./fastify-floor-main.js', place),
  };
}
