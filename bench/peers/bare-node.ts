import { startForked } from './forked.ts';
import type { Peer } from './peer.ts';

/** Roughly what a proxy on Node costs before it does anything. */
export function bareNodePeer(): Peer {
  return {
    name: 'bare-node',
    description: `node:http and undici with nothing between them, Node ${process.versions.node}`,
    credential: null,
    upgrades: true,
    speaksTls: true,
    isNode: true,
    start: (place) => startForked('./bare-node-main.js', place),
  };
}
