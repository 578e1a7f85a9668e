import type { Peer } from './peer.ts';

/** No proxy at all. */
export function directPeer(): Peer {
  return {
    name: 'direct',
    description: 'no proxy',
    credential: null,
    upgrades: true,
    speaksTls: false,
    start: async ({ upstreamPort }) => ({
      target: { port: upstreamPort, path: '/backend-api/codex/responses' },
      pid: null,
      stop: async () => undefined,
    }),
  };
}
