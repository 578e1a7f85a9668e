import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import { startEmulator } from '../../src/emulator/index.ts';
import { run, serve, start } from '../helpers/program.ts';
import { CODEX_VERSIONS, installCodex, isSince, runCodex } from './codex.ts';

const USER_CODE = /[A-Z0-9]{4}-[A-Z0-9]{5}/;

async function folder(t: Test): Promise<string> {
  const path = await mkdtemp(join(tmpdir(), 'sign-in-'));
  t.teardown(() => rm(path, { recursive: true, force: true, maxRetries: 3 }));
  return path;
}

async function setUp(t: Test) {
  const backend = await startEmulator();
  t.teardown(() => backend.close());
  backend.settings.deviceIntervalSeconds = 1;
  const home = await folder(t);
  const config = join(home, 'config.json');
  const upstream = { ...backend.upstream, proxy: null };
  await writeFile(config, JSON.stringify({ upstream }));
  return { backend, home, config };
}

for (const version of CODEX_VERSIONS.filter((known) => isSince(known, '0.169.0'))) {
  t.test(
    `Codex ${version} signs in to the emulated backend, and the sidecar uses it`,
    async (t) => {
      const codex = await installCodex(version);
      const { backend, home, config } = await setUp(t);
      const args = ['login', '--device-auth', '--experimental_issuer', backend.url];
      const { code, stdout, stderr } = await runCodex(home, [codex, ...args], {
        onLine: (line) => {
          const [found] = USER_CODE.exec(line) ?? [];
          if (found) backend.decideDeviceLogin(found, { accountId: 'account-1' });
        },
      });
      t.equal(code, 0, stdout + stderr);
      const { tokens } = JSON.parse(await readFile(join(home, 'auth.json'), 'utf8'));
      t.match(tokens, { oauth_provenance: { issuer: backend.url } });
      const { url } = await serve(t, ['--config', config], { CODEX_HOME: home });
      backend.expireAccessTokens();
      t.equal((await fetch(`${url}/backend-api/codex/models`)).status, 200);
      const refresh = backend.records.findLast(({ path, body }) => {
        return (
          path === '/oauth/token' && (body as { grant_type: string }).grant_type === 'refresh_token'
        );
      });
      t.match(refresh, { status: 200, body: { client_id: tokens.oauth_provenance.client_id } });
    },
  );

  t.test(`a sign-in and run are all that Codex ${version} needs`, async (t) => {
    const codex = await installCodex(version);
    const { backend, home, config } = await setUp(t);
    const program = start(t, ['login', '--device-auth', '--config', config], { CODEX_HOME: home });
    const line = await program.line((text) => USER_CODE.test(text));
    backend.decideDeviceLogin(line.trim());
    t.equal((await program.ended).code, 0);
    const { code, stderr, stdout } = await runCodex(home, [codex, 'login', 'status']);
    t.equal(code, 0);
    t.match(stdout + stderr, 'Logged in using ChatGPT');
    const log = join(home, 'run.log');
    const args = ['run', '--config', config, '--log-file', log, '--', codex];
    const turn = await run(t, [...args, 'exec', '--skip-git-repo-check', 'hi'], {
      CODEX_HOME: home,
      HOME: home,
      XDG_STATE_HOME: await folder(t),
    });
    t.equal(turn.code, 0, turn.stderr);
    t.match(turn.stdout, 'Hello from the emulated backend.');
  });
}
