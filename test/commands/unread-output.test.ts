import { spawn } from 'node:child_process';
import { existsSync, readFileSync, watch } from 'node:fs';
import { request } from 'node:http';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import t, { type Test } from 'tap';
import { makeFile, makeFolder } from '../helpers/program.ts';

const PROGRAM = fileURLToPath(new URL('../../src/cli.js', import.meta.url));

/** Where the output goes; none of them is read. */
type Reader = 'socket' | 'pipe' | 'terminal';

async function startUnread(t: Test, reader: Reader, args: string, config: object) {
  const folder = await makeFolder(t);
  const info = join(folder, 'info.json');
  const file = await makeFile(t, 'config.json', {
    clients: { tokensFile: await makeFile(t, 'tokens', `agent:${'0'.repeat(64)}\n`) },
    ...config,
  });
  const command = `'${process.execPath}' '${PROGRAM}' serve --port 0 --config '${file}' --server-info '${info}' ${args}`;
  const shell = {
    socket: ['sh', '-c', `exec ${command}`],
    pipe: ['sh', '-c', `${command} | sleep 600`],
    terminal: ['script', '--quiet', '--command', `exec ${command}`, '/dev/null'],
  }[reader];
  const watcher = watch(folder);
  const written = new Promise<void>((resolve) => {
    watcher.on('change', () => {
      if (existsSync(info)) resolve();
    });
  });
  const child = spawn(shell[0] ?? '', shell.slice(1), {
    stdio: ['ignore', 'pipe', 'ignore'],
    detached: true,
    env: { PATH: process.env.PATH, HOME: folder, CODEX_HOME: folder, CODEX_API_KEY: 'sk-test' },
  });
  t.teardown(() => {
    try {
      process.kill(-(child.pid ?? 0), 'SIGKILL');
    } catch {
      // It has ended.
    }
  });
  await written;
  watcher.close();
  return JSON.parse(readFileSync(info, 'utf8')) as { pid: number; port: number };
}

function statusOf(port: number, path: string): Promise<number | undefined> {
  return new Promise((resolve, reject) => {
    request({ host: '127.0.0.1', port, path }, (response) => {
      response.resume();
      response.on('end', () => resolve(response.statusCode));
    })
      .on('error', reject)
      .end();
  });
}

async function ended(pid: number): Promise<void> {
  for (;;) {
    try {
      process.kill(pid, 0);
      // A zombie counts as ended: who waits for it is not ours to say.
      if (/^State:\s+Z/m.test(readFileSync(`/proc/${pid}/status`, 'utf8'))) return;
    } catch {
      return;
    }
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

const LONG_PATH = `/${'x'.repeat(4000)}`;
const OUTPUTS: [reader: Reader, what: string, args: string, config: object][] = [
  ['pipe', 'an audit log on standard output', '--no-pretty', { log: { audit: 'stdout' } }],
  ['terminal', 'a log for people', '--pretty --log-level debug', {}],
  ['socket', 'a log', '--no-pretty --log-level debug', {}],
];

for (const [reader, what, args, config] of OUTPUTS) {
  t.test(`no output blocks service or end: ${what} on a ${reader} that nobody reads`, async (t) => {
    const { pid, port } = await startUnread(t, reader, args, config);
    // More than a pipe, a socket or a terminal takes.
    for (let i = 0; i < 100; i++) t.equal(await statusOf(port, LONG_PATH), 401);
    t.equal(await statusOf(port, '/livez'), 200);
    process.kill(pid, 'SIGTERM');
    await ended(pid);
  });
}
