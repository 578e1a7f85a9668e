import { fork } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { originOf, type Place, type RunningPeer } from './peer.ts';

/**
 * Starts a Node program that takes the origin of the upstream and the file of its certificate (or nothing),
 * and says its own port.
 * @param program file beside this one
 */
export async function startForked(program: string, place: Place): Promise<RunningPeer> {
  const path = fileURLToPath(new URL(program, import.meta.url));
  const args = [originOf(place), place.caFile ?? ''];
  const child = fork(path, args, { execArgv: [] });
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
