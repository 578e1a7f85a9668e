import { execFileSync } from 'node:child_process';
import { existsSync, readdirSync, rmSync } from 'node:fs';
import { delimiter, join } from 'node:path';
import { workerOf } from '../process-stats.ts';
import { Child, readWhole } from './children.ts';
import { type MissingPeer, originOf, type Peer, type Place, type RunningPeer } from './peer.ts';

const KEY = 'sk-bench-0123456789';

/** `codex responses-api-proxy` of an installed Codex CLI. */
export function codexPeer(): Peer | MissingPeer {
  const program = findCodex();
  if (program === null) {
    const reason = 'no codex in CODEX_BIN, .cache/codex or PATH (npm run test:codex installs one)';
    return { name: 'codex', reason };
  }
  const version = execFileSync(program, ['--version'], { encoding: 'utf8' }).trim();
  return {
    name: 'codex',
    description: `codex responses-api-proxy (${version})`,
    credential: `Bearer ${KEY}`,
    upgrades: false,
    speaksTls: true,
    start: (place) => start(program, place),
  };
}

function findCodex(): string | null {
  const cache = '.cache/codex';
  const cached = existsSync(cache)
    ? readdirSync(cache)
        .sort()
        .reverse()
        .map((version) => join(cache, version, 'node_modules/.bin/codex'))
    : [];
  const installed = (process.env.PATH ?? '').split(delimiter).map((path) => join(path, 'codex'));
  const candidates = [process.env.CODEX_BIN ?? '', ...cached, ...installed];
  return candidates.find((path) => path !== '' && existsSync(path)) ?? null;
}

async function start(program: string, place: Place): Promise<RunningPeer> {
  const info = join(place.folder, 'codex.json');
  rmSync(info, { force: true });
  // It takes one path, here as there.
  const upstream = `${originOf(place)}/v1/responses`;
  const child = new Child(
    program,
    ['responses-api-proxy', '--server-info', info, '--upstream-url', upstream],
    {
      stdio: ['pipe', 'ignore', 'pipe'],
      env: {
        PATH: process.env.PATH,
        HOME: place.folder,
        CODEX_HOME: place.folder,
        ...(place.caFile === null ? {} : { SSL_CERT_FILE: place.caFile }),
      },
    },
  );
  child.process.stdin?.end(`${KEY}\n`);
  const { port } = await child.until(() => readWhole<{ port: number }>(info));
  return {
    target: { port, path: '/v1/responses' },
    // The package's own launcher is a Node script that starts the program.
    pid: workerOf(child.pid),
    stop: () => child.stop(),
  };
}
