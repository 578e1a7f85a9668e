import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { Readable } from 'node:stream';
import t from 'tap';
import { Secret } from '../../src/base/secret.ts';
import { readAllText, takeEnvironment } from '../../src/commands/process.ts';
import { readSettings } from '../../src/sidecar/settings.ts';
import { warnOfInspector } from '../../src/sidecar/start.ts';
import { captureLog } from '../helpers/captured-log.ts';
import { makeFile, makeFolder, serve } from '../helpers/program.ts';
import { PROGRAM } from '../helpers/program-path.ts';

t.test('SIGUSR1 opens no inspector', async (t) => {
  const { program, url } = await serve(t);
  program.kill('SIGUSR1');
  // Node would start it between two turns of its loop.
  for (let i = 0; i < 5; i++) t.equal((await fetch(`${url}/livez`)).status, 200);
  program.kill('SIGTERM');
  const { code, stderr } = await program.ended;
  t.equal(code, 0);
  t.equal(stderr, '');
});

t.test('the arguments do not show in the list of processes', async (t) => {
  const info = join(await makeFolder(t), 'info');
  const { program } = await serve(t, ['--server-info', info]);
  const shown = await readFile(`/proc/${program.pid}/cmdline`, 'latin1');
  t.equal(shown.replaceAll('\0', ''), 'codex-auth-sidecar');
});

t.test('a diagnostic report of the process holds no credential', async (t) => {
  const folder = await makeFolder(t);
  const [key, password] = ['sk-hush-0123456789', 'hush-9876543210'];
  const report = ['--report-on-signal', '--report-signal=SIGUSR2', '--report-directory', folder];
  const child = spawn(process.execPath, [...report, PROGRAM, 'serve', '--port', '0'], {
    stdio: ['ignore', 'pipe', 'pipe'],
    env: {
      HOME: '/nonexistent',
      CODEX_API_KEY: key,
      HTTPS_PROXY: `http://u:${password}@127.0.0.1:9`,
    },
  });
  t.teardown(() => child.kill('SIGKILL'));
  for await (const line of createInterface({ input: child.stdout })) {
    if (line.includes('"listening"')) break;
  }
  child.kill('SIGUSR2');
  for await (const line of createInterface({ input: child.stderr })) {
    if (line.includes('report completed')) break;
  }
  const [name = ''] = await readdir(folder);
  const text = await readFile(join(folder, name), 'utf8');
  t.match(text, '"HOME": "/nonexistent"');
  for (const secret of [key, password]) t.notOk(text.includes(secret));
  child.kill('SIGKILL');
  await once(child, 'close');
});

t.test('credentials leave the environment and can still be read again', async (t) => {
  const file = await makeFile(t, 'identity', 'from-a-file');
  const proxy = 'http://user:hush@proxy.example:3128';
  const env: Record<string, string | undefined> = {
    CODEX_API_KEY: ' sk-hush\n',
    CODEX_ACCESS_TOKEN: 'at-hush',
    CODEX_AGENT_IDENTITY_FILE: file,
    HTTPS_PROXY: proxy,
    ALL_PROXY: proxy,
    all_proxy: proxy,
    HTTP_PROXY: 'http://proxy.example:3128',
    CODEX_HOME: '/srv/codex',
  };
  const own = takeEnvironment(env);
  t.strictSame(env, {
    CODEX_AGENT_IDENTITY_FILE: file,
    HTTP_PROXY: 'http://proxy.example:3128',
    CODEX_HOME: '/srv/codex',
  });
  t.notMatch(JSON.stringify([own.CODEX_API_KEY, own.CODEX_ACCESS_TOKEN]), 'hush');
  const settings = await readSettings(own, null, {});
  for (const time of ['at start', 'at a reload']) {
    const { apiKey, accessToken, agentIdentity } = await settings.credentials();
    t.strictSame(
      [apiKey, accessToken, agentIdentity].map((secret) => secret?.reveal()),
      ['sk-hush', 'at-hush', 'from-a-file'],
      time,
    );
  }
  t.equal(settings.codexHome, '/srv/codex');
  t.equal(settings.proxyEnvironment.httpsProxy, proxy);
});

t.test('what is not set stays so', async (t) => {
  const own = takeEnvironment({ CODEX_API_KEY: '  ' });
  t.ok(own.CODEX_API_KEY instanceof Secret);
  const credentials = await (await readSettings(own, null, {})).credentials();
  t.strictSame(credentials, {
    apiKey: null,
    accessToken: null,
    agentIdentity: null,
    workload: null,
  });
});

t.test('an open inspector is a warning', async (t) => {
  const captured = captureLog();
  warnOfInspector(captured.log, undefined);
  t.strictSame(captured.warnings(), []);
  warnOfInspector(captured.log, 'ws://127.0.0.1:9229/hush');
  t.match(captured.warnings(), [/^the inspector is open: /]);
  t.notMatch(captured.text(), 'hush');
});

t.test('what standard input brought is overwritten in the buffers', async (t) => {
  const chunks = [Buffer.from('hush-'), Buffer.from('ä and more')];
  t.equal(await readAllText(Readable.from(chunks)), 'hush-ä and more');
  t.ok(chunks.every((chunk) => chunk.every((byte) => byte === 0)));
});
