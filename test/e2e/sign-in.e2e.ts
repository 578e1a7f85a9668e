import { createHash, randomBytes } from 'node:crypto';
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

  t.test(`Codex ${version} takes the login that the sidecar has stored`, async (t) => {
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
    const args = ['run', '--config', config, '--log-file', log, '--isolate-home', '--', codex];
    const turn = await run(t, [...args, 'exec', '--skip-git-repo-check', 'hi'], {
      CODEX_HOME: home,
      HOME: home,
      XDG_STATE_HOME: await folder(t),
    });
    t.equal(turn.code, 0, turn.stderr);
    t.match(turn.stdout, 'Hello from the emulated backend.');
  });

  t.test(`Codex ${version} works behind the sidecar with a phantom login`, async (t) => {
    const codex = await installCodex(version);
    const { backend, home, config } = await setUp(t);
    const { authJson, accessToken } = backend.issueLogin({ planType: 'plus' });
    await writeFile(join(home, 'auth.json'), JSON.stringify(authJson), { mode: 0o600 });
    const tokens = join(home, 'tokens');
    const clientToken = randomBytes(24).toString('hex');
    const digest = createHash('sha256').update(clientToken).digest('hex');
    await writeFile(tokens, `agent:${digest} for=codex\n`);
    const sidecar = await serve(t, ['--config', config], {
      CODEX_HOME: home,
      SIDECAR_CLIENT_TOKENS_FILE: tokens,
    });
    const agent = await folder(t);
    const options = ['--write', '--login', '--token-file', '-', '--url', sidecar.url];
    const input = clientToken;
    const written = await run(t, ['codex-config', ...options], { CODEX_HOME: agent }, { input });
    t.equal(written.code, 0, written.stderr);

    const status = await runCodex(agent, [codex, 'login', 'status']);
    t.match(status.stdout + status.stderr, 'Logged in using ChatGPT');
    const turn = await runCodex(agent, [codex, 'exec', '--skip-git-repo-check', 'hi']);
    t.equal(turn.code, 0, turn.stderr);
    t.match(turn.stdout, 'Hello from the emulated backend.');
    const seen = backend.records.filter(({ path }) => path.startsWith('/backend-api/'));
    const side = seen.filter(({ path }) => !path.startsWith('/backend-api/codex/responses'));
    t.strictSame(
      side.filter(({ path }) => path.startsWith('/backend-api/ps/mcp')),
      [],
    );
    t.ok(side.length > 0, 'a Codex that is signed in asks for more than responses');
    for (const { method, path, headers, auth } of seen) {
      t.ok(auth.verified, `${method} ${path} (${auth.problem})`);
      t.equal(headers.authorization, `Bearer ${accessToken}`);
    }
    t.comment([...new Set(seen.map(({ method, path }) => `${method} ${path}`))].join('\n'));
    // Old enough for Codex to refresh it, which it does at the sidecar.
    const path = join(agent, 'auth.json');
    const login = JSON.parse(await readFile(path, 'utf8'));
    await writeFile(path, JSON.stringify({ ...login, last_refresh: '2026-01-01T00:00:00Z' }));
    const refreshes = () => backend.records.filter(({ path }) => path === '/oauth/token').length;
    const again = await runCodex(agent, [codex, 'exec', '--skip-git-repo-check', 'hi']);
    t.equal(again.code, 0, again.stderr);
    const after = JSON.parse(await readFile(path, 'utf8'));
    t.not(after.last_refresh, '2026-01-01T00:00:00Z');
    t.equal(after.tokens.access_token, clientToken);
    t.equal(refreshes(), 0, 'the real login took no part in it');
  });
}
