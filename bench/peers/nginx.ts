import { spawnSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { workerOf } from '../process-stats.ts';
import { Child, listensOn } from './children.ts';
import type { MissingPeer, Peer, Place, RunningPeer } from './peer.ts';

const CREDENTIAL = 'Bearer static-0123456789';
// Debian installs it where only root's PATH looks.
const PROGRAMS = ['nginx', '/usr/sbin/nginx'];

/** nginx with one worker and a header that never changes, set up for streams. */
export function nginxPeer(): Peer | MissingPeer {
  const program = PROGRAMS.find((name) => spawnSync(name, ['-v']).status === 0);
  if (program === undefined) return { name: 'nginx', reason: 'not installed (apt install nginx)' };
  const version = spawnSync(program, ['-v'], { encoding: 'utf8' }).stderr.trim();
  return {
    name: 'nginx',
    description: `${version.replace('nginx version: ', '')}, one worker, static header, no log`,
    credential: CREDENTIAL,
    upgrades: true,
    speaksTls: true,
    start: (place) => start(program, place),
  };
}

async function start(program: string, place: Place): Promise<RunningPeer> {
  const port = await freePort();
  const file = join(place.folder, 'nginx.conf');
  writeFileSync(file, configuration(place, port));
  const child = new Child(program, ['-p', place.folder, '-e', 'stderr', '-c', file]);
  await child.until(() => listensOn(port));
  // The master listens before it has a worker.
  const pid = await child.until(() => {
    const worker = workerOf(child.pid);
    return worker === child.pid ? null : worker;
  });
  return {
    target: { port, path: '/backend-api/codex/responses' },
    pid,
    stop: () => child.stop(),
  };
}

/**
 * Nothing is buffered, because the responses are streams; upstream connections are kept.
 * By default nginx does not verify a certificate, which costs nothing on a kept connection.
 */
function configuration({ folder, upstreamPort, caFile }: Place, port: number): string {
  const paths = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi']
    .map((name) => `${name}_temp_path ${folder}/${name};`)
    .join('\n  ');
  return `daemon off;
worker_processes 1;
worker_rlimit_nofile 16384;
pid ${folder}/nginx.pid;
error_log stderr error;
events { worker_connections 8192; }
http {
  ${paths}
  access_log off;
  tcp_nodelay on;
  keepalive_requests 100000000;
  client_max_body_size 0;
  upstream backend {
    server 127.0.0.1:${upstreamPort};
    keepalive 1024;
    keepalive_requests 100000000;
  }
  map $http_upgrade $connection_upgrade { default upgrade; '' ''; }
  server {
    listen 127.0.0.1:${port} backlog=4096;
    location / {
      proxy_pass ${caFile === null ? 'http' : 'https'}://backend;
      proxy_http_version 1.1;
      proxy_buffering off;
      proxy_request_buffering off;
      proxy_read_timeout 1h;
      proxy_set_header Host $host;
      proxy_set_header Connection $connection_upgrade;
      proxy_set_header Upgrade $http_upgrade;
      proxy_set_header Authorization "${CREDENTIAL}";
    }
  }
}
`;
}

function freePort(): Promise<number> {
  return new Promise((resolve, reject) => {
    const server = createServer();
    server.once('error', reject);
    server.listen(0, '127.0.0.1', () => {
      const address = server.address();
      const port = typeof address === 'object' && address !== null ? address.port : 0;
      server.close(() => resolve(port));
    });
  });
}
