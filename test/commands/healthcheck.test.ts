import { join } from 'node:path';
import t from 'tap';
import { makeFile, makeFolder, run, serve } from '../helpers/program.ts';

t.jobs = 2;

const KEY = { CODEX_API_KEY: 'sk-test' };
const HEALTHY = { code: 0, signal: null, stdout: '', stderr: '' };

t.test('ready, then nobody there', async (t) => {
  const { program, url } = await serve(t, [], KEY);
  await program.logged('credential loaded');
  const { port } = new URL(url);
  t.strictSame(await run(t, ['healthcheck', '--port', port]), HEALTHY);

  program.kill('SIGKILL');
  await program.ended;
  t.strictSame(await run(t, ['healthcheck', '--port', port]), {
    code: 1,
    signal: null,
    stdout: '',
    stderr: `codex-auth-sidecar: not ready: http://127.0.0.1:${port} cannot be reached (ECONNREFUSED)\n`,
  });
});

t.test('not ready without a login', async (t) => {
  const { url } = await serve(t);
  const { port } = new URL(url);
  t.strictSame(await run(t, ['healthcheck', '--port', port]), {
    code: 1,
    signal: null,
    stdout: '',
    stderr: `codex-auth-sidecar: not ready: http://127.0.0.1:${port} responded with 503\n`,
  });
});

t.test('through a socket', async (t) => {
  const socket = join(await makeFolder(t), 's');
  const { program } = await serve(t, [], { ...KEY, SIDECAR_SOCKET: socket });
  await program.logged('credential loaded');
  t.strictSame(await run(t, ['healthcheck'], { SIDECAR_SOCKET: socket }), HEALTHY);
  t.match(await run(t, ['healthcheck', '--socket', `${socket}2`]), {
    code: 1,
    stderr: `codex-auth-sidecar: not ready: ${socket}2 cannot be reached (ENOENT)\n`,
  });
});

t.test('with the environment of a sidecar on all addresses', async (t) => {
  const env = {
    SIDECAR_HOST: '0.0.0.0',
    SIDECAR_CLIENT_TOKENS_FILE: await makeFile(t, 'tokens', `agent:${'0'.repeat(64)}\n`),
  };
  const { program, url } = await serve(t, [], { ...env, ...KEY });
  await program.logged('credential loaded');
  const { port } = new URL(url);
  t.strictSame(await run(t, ['healthcheck'], { ...env, SIDECAR_PORT: port }), HEALTHY);
});

t.test('a wrong configuration is told apart', async (t) => {
  t.match(await run(t, ['healthcheck'], { SIDECAR_PORT: 'http' }), {
    code: 2,
    stdout: '',
    stderr: 'codex-auth-sidecar: wrong configuration: SIDECAR_PORT (listen.port) must be integer\n',
  });
});
