import { fork } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import type { Place, RunningPeer } from './peer.ts';

/**
 * Starts a Node program that takes the upstream's port and says its own.
 * @param program file beside this one
 */
export async function startForked(program: string, place: Place): Promise<RunningPeer> {
  const path = fileURLToPath(new URL(program, import.meta.url));
  const child = fork(path, [String(place.upstreamPort)], { execArgv: [] });
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
