import { readdirSync } from 'node:fs';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Test } from 'tap';
import { makeFolder, type Program, serve } from './program.ts';
import { FAKE_LOGIN, NO_TOKEN_ENDPOINT } from './sidecar.ts';
import { untilStatus } from './until-status.ts';

/** A sidecar in a process of its own, so that what it leaves open can be counted. */
export interface LoadedSidecar {
  program: Program;
  url: string;
  /** Its open file descriptors. */
  descriptors(): number;
  /**
   * Resolves when it counts nothing and holds no more descriptors than `before`; the timeout of the
   * test bounds it.
   */
  untilIdle(before: number): Promise<void>;
}

export async function serveInFrontOf(t: Test, origin: string): Promise<LoadedSidecar> {
  const folder = await makeFolder(t);
  await writeFile(join(folder, 'auth.json'), JSON.stringify(FAKE_LOGIN), { mode: 0o600 });
  const upstream = {
    chatgptBaseUrl: `${origin}/backend-api`,
    authApiBaseUrl: `${origin}/api/accounts`,
    ...NO_TOKEN_ENDPOINT,
    proxy: null,
  };
  const config = join(folder, 'config.json');
  await writeFile(config, JSON.stringify({ codexHome: folder, upstream }));
  const { program, url } = await serve(t, ['--config', config]);
  const descriptors = () => readdirSync(`/proc/${program.pid}/fd`).length;
  return {
    program,
    url,
    descriptors,
    untilIdle: async (before) => {
      const idle = ({ connections }: { connections: Record<string, number> }) =>
        connections.http === 0 && connections.websocket === 0 && descriptors() <= before;
      await untilStatus(url, idle);
    },
  };
}

/** Random numbers in [0, 1), the same ones for the same seed (mulberry32). */
export function randomOf(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

/**
 * After how many of its messages each client leaves; null stays. Nobody leaves in the second half,
 * where the upstream could have said all before it notices.
 */
export function departures(clients: number, messages: number, seed: number): (number | null)[] {
  const random = randomOf(seed);
  return Array.from({ length: clients }, () =>
    random() < 0.2 ? 1 + Math.floor((random() * messages) / 2) : null,
  );
}
