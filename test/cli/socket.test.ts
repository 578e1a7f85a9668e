import { readFile, stat } from 'node:fs/promises';
import { join } from 'node:path';
import t from 'tap';
import { Client } from 'undici';
import { makeFile, makeFolder, run, serve } from '../helpers/program.ts';

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
