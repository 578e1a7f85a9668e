import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { startEmulator } from '../src/emulator/index.ts';
import { ConfigError, startSidecar } from '../src/index.ts';
import { send } from './helpers/exchange.ts';
import { MODELS, makeFolder } from './helpers/sidecar.ts';
import { untilStatus } from './helpers/until-status.ts';

t.test('a program starts a sidecar, reloads it and stops it', async (t) => {
  const backend = await startEmulator();
  t.teardown(() => backend.close());
  const codexHome = await makeFolder(t);
  const authJson = JSON.stringify(backend.issueLogin().authJson);
  const lines: string[] = [];
  const sidecar = await startSidecar({
    config: { listen: { port: 0 }, codexHome, upstream: { ...backend.upstream, proxy: null } },
    log: { write: (line) => lines.push(line) },
  });
  t.teardown(() => sidecar.stop());
  const url = sidecar.url ?? '';
  t.equal(url, `http://127.0.0.1:${sidecar.port}`);
  t.equal(sidecar.socket, null);
  await untilStatus(url, ({ status }) => status === 'unauthenticated');

  writeFileSync(join(codexHome, 'auth.json'), authJson, { mode: 0o600 });
  t.strictSame(await sidecar.reload(), []);
  t.equal((await send(url + MODELS)).status, 200);
  t.ok(lines.some((line) => JSON.parse(line).msg === 'credential loaded'));

  await sidecar.stop();
  await t.rejects(send(`${url}/livez`), { code: 'ECONNREFUSED' });
});

t.test(
  'the environment is read where it is given, and the configuration goes before it',
  async (t) => {
    const codexHome = await makeFolder(t);
    const options = {
      config: {
        listen: { port: 0 },
        codexHome,
        upstream: { openaiBaseUrl: 'http://127.0.0.1:9/v1' },
      },
      log: { write: () => undefined },
    };
    process.env.CODEX_API_KEY = 'key-of-this-process';
    t.teardown(() => {
      delete process.env.CODEX_API_KEY;
    });
    const without = await startSidecar(options);
    t.teardown(() => without.stop());
    const { status } = await untilStatus(without.url ?? '', ({ status }) => status !== 'starting');
    t.equal(status, 'unauthenticated');

    const env = { CODEX_API_KEY: 'key-that-is-given', SIDECAR_PORT: '1' };
    const given = await startSidecar({ ...options, env });
    t.teardown(() => given.stop());
    const { authMode } = await untilStatus(given.url ?? '', ({ status }) => status === 'ready');
    t.equal(authMode, 'apikey');
  },
);

t.test('a reload that fails says why by its code', async (t) => {
  const tokensFile = join(await makeFolder(t), 'tokens');
  writeFileSync(tokensFile, `agent:${'0'.repeat(64)}\n`);
  const sidecar = await startSidecar({
    config: { listen: { port: 0 }, codexHome: '/nonexistent', clients: { tokensFile } },
    log: { write: () => undefined },
  });
  t.teardown(() => sidecar.stop());
  writeFileSync(tokensFile, 'agent\n');
  await t.rejects(sidecar.reload(), { code: 'SIDECAR_CONFIG_INVALID' });
});

t.test('a wrong configuration is a ConfigError', async (t) => {
  await t.rejects(startSidecar({ config: { listen: { host: '0.0.0.0', port: 0 } } }), ConfigError);
  await t.rejects(startSidecar({ config: { codexHome: '' } }), ConfigError);
});
