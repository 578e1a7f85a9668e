import { fork } from 'node:child_process';
import { once } from 'node:events';
import { createRequire } from 'node:module';
import { fileURLToPath } from 'node:url';
import type { Peer, Place, RunningPeer } from './peer.ts';

/** @fastify/http-proxy as its README sets it up: it passes everything on and authorises nothing. */
export function httpProxyPeer(): Peer {
  const { version } = createRequire(import.meta.url)('@fastify/http-proxy/package.json');
  return {
    name: 'http-proxy',
    description: `@fastify/http-proxy ${version}, no auth, no log, Node ${process.versions.node}`,
    credential: null,
    upgrades: true,
    isNode: true,
    start,
  };
}

async function start(place: Place): Promise<RunningPeer> {
  const program = fileURLToPath(new URL('./http-proxy-main.js', import.meta.url));
  const child = fork(program, [String(place.upstreamPort)], { execArgv: [] });
  const [{ port }] = (await once(child, 'message')) as [{ port: number }];
  return {
    target: { port, path: '/backend-api/codex/responses' },
    pid: child.pid ?? null,
    stop: async () => {
      const exit = once(child, 'exit');
      child.disconnect();
      await exit;
    },
  };
}
