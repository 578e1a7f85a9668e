import { once } from 'node:events';
import { mkdir, readFile, stat, unlink, writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { join } from 'node:path';
import Fastify from 'fastify';
import t, { type Test } from 'tap';
import { Client } from 'undici';
import { WebSocket } from 'ws';
import { mainPlace } from '../../src/config/places.ts';
import { resolveConfig } from '../../src/config/resolve.ts';
import { withFileLock } from '../../src/files/lock.ts';
import { listen } from '../../src/sidecar/listen.ts';
import { RESPONSES, start as startBackend } from '../emulator/client.ts';
import { makeFile, makeFolder, type Program, run, serve, start } from '../helpers/program.ts';

t.jobs = 2;

async function get(socketPath: string, path: string): Promise<{ status: number; text: string }> {
  const client = new Client('http://sidecar', { socketPath });
  try {
    const { statusCode, body } = await client.request({ method: 'GET', path });
    return { status: statusCode, text: await body.text() };
  } finally {
    await client.destroy();
  }
}

async function modeOf(path: string): Promise<string> {
  return ((await stat(path)).mode & 0o777).toString(8);
}

t.test('a Unix socket for the owner alone, gone with the process', async (t) => {
  const folder = await makeFolder(t);
  const socket = join(folder, 's');
  const info = join(folder, 'info');
  const { program } = await serve(t, ['--socket', socket, '--server-info', info]);
  t.equal(await modeOf(socket), '600');
  t.match(await get(socket, '/livez'), { status: 200 });
  t.match(await get(socket, '/auth/status'), { status: 503, text: /unauthenticated/ });
  t.strictSame(JSON.parse(await readFile(info, 'utf8')), {
    port: null,
    socket,
    pid: program.pid,
    url: null,
  });
  program.kill('SIGTERM');
  t.match(await program.ended, { code: 0, stderr: '' });
  await t.rejects(stat(socket), { code: 'ENOENT' });
});

t.test('the socket of a live process is refused, that of a dead one taken over', async (t) => {
  const socket = join(await makeFolder(t), 's');
  const first = await serve(t, ['--socket', socket]);
  const { code, stdout, stderr } = await run(t, ['serve', '--socket', socket]);
  t.equal(code, 1);
  t.equal(stdout, '');
  t.equal(
    stderr,
    `codex-auth-sidecar: ${socket} belongs to a running process; choose another with --socket\n`,
  );
  t.match(await get(socket, '/livez'), { status: 200 }, 'the first one still serves');

  first.program.kill('SIGKILL');
  await first.program.ended;
  t.ok((await stat(socket)).isSocket(), 'it is left behind');
  const config = await makeFile(t, 'config.json', { listen: { socketMode: '660' } });
  await serve(t, ['--config', config], { SIDECAR_SOCKET: socket });
  t.match(await get(socket, '/livez'), { status: 200 });
  t.equal(await modeOf(socket), '660');
});

t.test('a WebSocket through the socket', async (t) => {
  const backend = await startBackend(t);
  const codexHome = await makeFolder(t);
  const login = JSON.stringify(backend.issueLogin().authJson);
  await writeFile(join(codexHome, 'auth.json'), login, { mode: 0o600 });
  const config = await makeFile(t, 'config.json', {
    codexHome,
    upstream: { ...backend.upstream, proxy: null },
  });
  const socket = join(codexHome, 's');
  await serve(t, ['--config', config, '--socket', socket]);
  const client = new WebSocket(`ws+unix://${socket}:${RESPONSES}`);
  t.teardown(() => client.terminate());
  await once(client, 'open');
  t.match(backend.records, [{ path: RESPONSES, auth: { kind: 'bearer', verified: true } }]);
});

/** A socket file whose process is dead. */
async function leaveStale(t: Test, socket: string): Promise<void> {
  const { program } = await serve(t, ['--socket', socket]);
  program.kill('SIGKILL');
  await program.ended;
}

t.test(
  'of two that start at once on a stale socket one serves, the other is refused',
  async (t) => {
    const socket = join(await makeFolder(t), 's');
    await leaveStale(t, socket);
    const programs = [0, 1].map(() => start(t, ['serve', '--socket', socket]));
    const served = (program: Program) =>
      program.logged('listening').then(
        () => program,
        () => null,
      );
    const winners = (await Promise.all(programs.map(served))).filter((program) => program !== null);
    t.equal(winners.length, 1);
    const [loser] = programs.filter((program) => program !== winners[0]);
    t.match(await loser?.ended, { code: 1, stderr: /belongs to a running process/ });
    t.match(await get(socket, '/livez'), { status: 200 });
  },
);

t.test('a socket that comes to life while another start waits is not taken away', async (t) => {
  const socket = join(await makeFolder(t), 's');
  await leaveStale(t, socket);
  const app = Fastify();
  t.teardown(() => app.close());
  const place = mainPlace(resolveConfig({ listen: { socket } }));
  let waiting: Promise<unknown> = Promise.resolve();
  const other = createServer();
  await withFileLock(`${socket}.lock`, 30, async () => {
    waiting = t.rejects(listen(app, place, t.fail), { message: /belongs to a running process/ });
    // Another lock takes as long as the start would take to do its harm without one.
    await withFileLock(`${socket}.other`, 30, () => unlink(socket));
    await new Promise<void>((resolve) => other.listen(socket, resolve));
  });
  t.teardown(() => void other.close());
  await waiting;
  t.ok(other.listening);
  t.ok((await stat(socket)).isSocket());
});

t.test('where there can be no lock it starts, and warns', async (t) => {
  const socket = join(await makeFolder(t), 's');
  const app = Fastify();
  t.teardown(() => app.close());
  const lines: string[] = [];
  await mkdir(`${socket}.lock`);
  const place = mainPlace(resolveConfig({ listen: { socket } }));
  await listen(app, place, (line) => lines.push(line));
  t.strictSame(lines, [
    `cannot open ${socket}.lock (EISDIR); start no other sidecar on ${socket} at the same moment`,
  ]);
});

t.test('a file that is no socket is left alone', async (t) => {
  const path = await makeFile(t, 's', 'precious');
  const { code, stderr } = await run(t, ['serve', '--socket', path]);
  t.equal(code, 1);
  t.equal(stderr, `codex-auth-sidecar: ${path} exists and is not a socket; remove it\n`);
  t.equal(await readFile(path, 'utf8'), 'precious');
});

t.test('a folder that is not there', async (t) => {
  const path = join(await makeFolder(t), 'absent/s');
  const { code, stderr } = await run(t, ['serve', '--socket', path]);
  t.equal(code, 1);
  // libuv reports a missing folder as EACCES.
  t.equal(stderr, `codex-auth-sidecar: cannot listen on ${path} (EACCES)\n`);
});
