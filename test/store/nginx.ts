import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { writeFile } from 'node:fs/promises';
import { connect } from 'node:net';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { makeFolder, type TestScope } from '../helpers/program.ts';
import { closedPort } from '../helpers/upstream.ts';

// Debian installs it where only root's PATH looks.
const PROGRAMS = ['nginx', '/usr/sbin/nginx'];

/** null where it is not installed. */
export function nginxProgram(): string | null {
  return PROGRAMS.find((name) => spawnSync(name, ['-v']).status === 0) ?? null;
}

/**
 * nginx with the configuration of deploy/fleet, in which only addresses and folders are others.
 * @param ports of the two sidecars
 * @returns its own port
 */
export async function startNginx(
  t: TestScope,
  program: string,
  ports: readonly number[],
): Promise<number> {
  const folder = await makeFolder(t);
  const port = await closedPort();
  const text = readFileSync('deploy/fleet/nginx.conf', 'utf8')
    .replaceAll('/tmp/', `${folder}/`)
    .replace('listen 8787;', `listen 127.0.0.1:${port};`)
    // Debian's nginx is older than this parameter, and here no name has to be resolved.
    .replaceAll(' resolve ', ' ')
    .replace(/sidecar-(\d):8787/g, (_all, digit) => `127.0.0.1:${ports[Number(digit) - 1]}`);
  const file = join(folder, 'nginx.conf');
  await writeFile(file, text);
  const args = ['-p', folder, '-e', 'stderr', '-c', file, '-g', 'daemon off;'];
  const child = spawn(program, args, { stdio: 'ignore' });
  const exited = once(child, 'exit');
  t.teardown(async () => {
    child.kill('SIGTERM');
    await exited;
  });
  for (;;) {
    const socket = connect(port, '127.0.0.1');
    const isUp = await once(socket, 'connect').then(
      () => true,
      () => false,
    );
    socket.destroy();
    if (isUp) return port;
    if (child.exitCode !== null) throw new Error(`nginx ended with ${child.exitCode}`);
    // No event says when another program listens.
    await sleep(20);
  }
}
