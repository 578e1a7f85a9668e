import { spawn } from 'node:child_process';
import { join } from 'node:path';
import type { Readable } from 'node:stream';
import { text } from 'node:stream/consumers';
import { fileURLToPath } from 'node:url';
import t from 'tap';
import { makeFile, makeFolder, run } from '../helpers/program.ts';

t.jobs = 4;

const PROGRAM = fileURLToPath(new URL('../../src/cli.js', import.meta.url));

interface Entry {
  key: string;
  value: unknown;
  origin: string;
}

t.test('config show: each value comes from the last layer that sets it', async (t) => {
  const content = { listen: { port: 1, host: '::1' }, log: { level: 'warn', audit: '~/audit' } };
  const file = await makeFile(t, 'config.json', content);
  const env = {
    SIDECAR_CONFIG: file,
    SIDECAR_PORT: '2',
    SIDECAR_LOG_LEVEL: 'error',
    SIDECAR_CLIENTS_ALLOWED_HOSTS: '["sidecar"]',
    CODEX_HOME: '/srv/codex',
    CODEX_API_KEY: 'sk-of-a-test',
    HOME: '/home/of-a-test',
  };
  const args = ['config', 'show', '--log-level', 'debug'];
  const json = await run(t, [...args, '--json'], env);
  t.equal(json.code, 0, json.stderr);
  const entries: Entry[] = JSON.parse(json.stdout);
  const shown = (name: string) => entries.find(({ key }) => key === name);
  t.match(shown('listen.port'), { value: 2, origin: 'SIDECAR_PORT' });
  t.match(shown('listen.host'), { value: '::1', origin: file });
  t.match(shown('log.audit'), { value: '/home/of-a-test/audit', origin: file });
  t.match(shown('log.level'), { value: 'debug', origin: 'command line' });
  t.match(shown('limits.drainSeconds'), { value: 20, origin: 'default' });
  t.match(shown('codexHome'), { value: '/srv/codex', origin: 'CODEX_HOME' });
  t.strictSame(shown('clients.allowedHosts'), {
    key: 'clients.allowedHosts',
    value: ['sidecar'],
    origin: 'SIDECAR_CLIENTS_ALLOWED_HOSTS',
  });
  const { stdout } = await run(t, args, env);
  t.match(stdout, /^listen\.port +2 +SIDECAR_PORT$/m);
  t.match(stdout, /^clients\.allowedHosts +\["sidecar"\] +SIDECAR_CLIENTS_ALLOWED_HOSTS$/m);
  t.equal(stdout.trim().split('\n').length, entries.length);
  t.notMatch(json.stdout + stdout, 'sk-of-a-test');
});

for (const command of ['config show', 'help', 'completion bash']) {
  t.test(`${command} ends in silence when its reader goes`, async (t) => {
    // The pipe is closed before anything is written.
    const script = `node '${PROGRAM}' ${command} 2>&3 | true; echo "\${PIPESTATUS[0]}" >&3`;
    const env = { PATH: process.env.PATH, HOME: '/nonexistent' };
    const child = spawn('bash', ['-c', script], {
      env,
      stdio: ['ignore', 'ignore', 'pipe', 'pipe'],
    });
    const [, , stderr, third] = child.stdio;
    const texts = await Promise.all([text(stderr as Readable), text(third as Readable)]);
    t.strictSame(texts, ['', '0\n']);
  });
}

t.test('config check: what can start', async (t) => {
  const folder = await makeFolder(t);
  // A start would take the port and write the audit log.
  const audit = join(folder, 'audit');
  const config = await makeFile(t, 'config.json', { log: { audit } });
  const { code, stdout, stderr } = await run(t, ['config', 'check', '--config', config], {
    SIDECAR_PROT: '1',
  });
  t.equal(code, 0);
  t.equal(stdout, 'a sidecar can start with this configuration\n');
  t.equal(
    stderr,
    'codex-auth-sidecar: the environment variable SIDECAR_PROT is not known and sets nothing; did you mean SIDECAR_PORT?\n',
  );
  t.equal((await run(t, ['config', 'check', '--config', config])).stderr, '');
});

t.test('config check: everything that a start would refuse, and exit code 2', async (t) => {
  const settings = {
    log: { audit: '/nonexistent/audit' },
    upstream: { caFile: '/nonexistent/ca.pem' },
    store: { kind: 'postgres' },
  };
  const config = await makeFile(t, 'config.json', settings);
  const { code, stdout, stderr } = await run(t, ['config', 'check', '--config', config]);
  t.equal(code, 2);
  t.equal(stdout, '');
  t.strictSame(stderr.trim().split('\n'), [
    'codex-auth-sidecar: wrong configuration: upstream.caFile: cannot read /nonexistent/ca.pem (ENOENT)',
    'codex-auth-sidecar: wrong configuration: log.audit: cannot write /nonexistent/audit (ENOENT)',
    'codex-auth-sidecar: wrong configuration: store.keyFile is not set; put the output of "store key" into a file and name that file',
  ]);
});

t.test('config check: beyond loopback', async (t) => {
  const args = ['config', 'check', '--host', '0.0.0.0'];
  const refused = await run(t, args);
  t.equal(refused.code, 2);
  t.match(refused.stderr, 'set clients.tokensFile, or pass --allow-unauthenticated');
  const allowed = await run(t, [...args, '--allow-unauthenticated']);
  t.equal(allowed.code, 0);
  t.match(allowed.stderr, 'anyone who reaches 0.0.0.0 can use the account');
  t.match(allowed.stderr, 'plain HTTP');
});

t.test('config check and config show: a file that is not JSON', async (t) => {
  const config = await makeFile(t, 'config.json', '{\n  "listen": {},\n}\n');
  for (const word of ['check', 'show']) {
    t.match(await run(t, ['config', word, '--config', config]), {
      code: 2,
      stdout: '',
      stderr: `codex-auth-sidecar: wrong configuration: config file ${config} is not valid JSON, line 3, column 1: remove the comma before it\n`,
    });
  }
});
