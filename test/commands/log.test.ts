import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import t from 'tap';
import { makeFolder, serve } from '../helpers/program.ts';

const PROGRAM = fileURLToPath(new URL('../../src/cli.js', import.meta.url));

t.test('the start line names address, credential and policy, and no secret', async (t) => {
  const key = 'sk-a-key-that-stays-here';
  const { program, url } = await serve(t, [], {
    CODEX_HOME: await makeFolder(t),
    CODEX_API_KEY: key,
  });
  t.match(await program.logged('listening'), {
    url,
    credential: 'apikey',
    credentialSource: 'CODEX_API_KEY',
    policy: 'jwtOnly',
  });
  t.notMatch(program.stdout, key);
});

t.test('without a credential the start line says so', async (t) => {
  const { program } = await serve(t, [], { CODEX_HOME: await makeFolder(t) });
  t.match(await program.logged('listening'), { credential: null, credentialSource: null });
});

t.test('on a terminal the log is for people', async (t) => {
  const folder = await makeFolder(t);
  const info = join(folder, 'info.json');
  const command = `'${process.execPath}' '${PROGRAM}' serve --port 0 --server-info '${info}'`;
  // util-linux's script gives it a terminal.
  const terminal = spawn('script', ['--quiet', '--return', '--command', command, '/dev/null'], {
    stdio: ['ignore', 'pipe', 'inherit'],
    env: { PATH: process.env.PATH, HOME: '/nonexistent', CODEX_HOME: folder },
  });
  const ended = once(terminal, 'close');
  let text = '';
  for await (const chunk of terminal.stdout.setEncoding('utf8')) {
    text += chunk;
    if (text.includes('listening')) break;
  }
  process.kill(JSON.parse(readFileSync(info, 'utf8')).pid, 'SIGTERM');
  await ended;
  t.match(text, /INFO.*listening/);
  t.notMatch(text, /^\{/m);
});
