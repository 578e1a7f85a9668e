import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import { type Emulator, startEmulator } from '../../src/emulator/index.ts';
import { Issued } from '../helpers/certificates.ts';
import { startConnectProxy } from '../helpers/connect-proxy.ts';
import { CODEX_VERSIONS, CodexHome, type CodexVersion, installCodex, isSince } from './codex.ts';

/** Those that have the second form of identity behind a feature switch. */
const VERSIONS = CODEX_VERSIONS.filter((version) => isSince(version, '0.169.0'));

const RESPONSES = '/backend-api/codex/responses';
const REGISTER = '/agent/register';
/** Codex uses the second form at these hosts only. */
const HOSTS = ['DNS:chatgpt.com', 'DNS:auth.openai.com', 'DNS:ab.chatgpt.com'];

/** One turn of a Codex that takes the emulated backend for the real one, without any sidecar. */
async function turn(
  t: Test,
  version: CodexVersion,
  mode: 'dual_header' | 'assertion_only',
  misbehave: (backend: Emulator) => void = () => undefined,
): Promise<Emulator> {
  const program = await installCodex(version);
  const { key, cert } = new Issued({ names: HOSTS });
  const backend = await startEmulator({ https: { key, cert } });
  t.teardown(() => backend.close());
  backend.settings.bearerOnAssertionRoutes = 'refuse';
  const { authJson, accountId } = backend.issueLogin();
  const account = { id: accountId, plan_type: 'pro', structure: 'personal' };
  const routing = {
    workspace_backend_origin: 'https://chatgpt.com',
    account_routing_override: 'us',
  };
  backend.addFault({
    path: '/backend-api/wham/accounts/check',
    times: 0,
    body: { accounts: [{ ...account, ...routing }], default_account_id: accountId },
  });
  misbehave(backend);
  const proxy = await startConnectProxy(t, null, undefined, Number(new URL(backend.url).port));
  const home = await CodexHome.create({ baseUrl: '', clientToken: '', webSockets: true });
  t.teardown(() => home.remove());
  await writeFile(
    join(home.path, 'config.toml'),
    `[features]\nruntime_agent_instances = { enabled = true, mode = "${mode}" }\n[analytics]\nenabled = false\n`,
  );
  const authority = join(home.path, 'authority.pem');
  await writeFile(authority, cert);
  await writeFile(join(home.path, 'auth.json'), JSON.stringify(authJson), { mode: 0o600 });
  const run = await home.run(program, ['exec', '--skip-git-repo-check', '--ephemeral', 'hi'], {
    HTTPS_PROXY: proxy.url,
    CODEX_CA_CERTIFICATE: authority,
  });
  t.equal(run.code, 0, run.stderr);
  t.match(run.stdout, 'Hello from the emulated backend.');
  return backend;
}

const kinds = { dual_header: 'dual', assertion_only: 'assertion' } as const;

for (const version of VERSIONS) {
  for (const mode of ['dual_header', 'assertion_only'] as const) {
    t.test(`Codex ${version} (${mode}) is verified by the code that verifies us`, async (t) => {
      const { records } = await turn(t, version, mode);
      const registrations = records.filter(({ path }) => path === REGISTER);
      t.match(registrations, [{ status: 200, body: { actor_auth: { type: 'oauth' } } }]);
      const turns = records.filter(({ path }) => path === RESPONSES);
      t.ok(turns.length > 0);
      for (const { method, path, auth } of records.filter(({ path }) => path.startsWith('/back'))) {
        t.match(auth, { kind: kinds[mode], verified: true, problem: null }, `${method} ${path}`);
      }
    });
  }

  t.test(`Codex ${version} gets new tokens, then a new instance, after a 401`, async (t) => {
    const { records } = await turn(t, version, 'dual_header', (backend) =>
      backend.addFault({
        path: RESPONSES,
        times: 2,
        status: 401,
        body: { detail: 'Unauthorized' },
      }),
    );
    const order = records
      .filter(({ path }) => [RESPONSES, '/oauth/token', REGISTER].includes(path))
      .map(({ path, status }) => `${path} ${status}`);
    // The first 401 goes to a connection that Codex opens ahead of the turn, and gives up.
    t.strictSame(order.slice(order.lastIndexOf(`${RESPONSES} 401`)).slice(0, 4), [
      `${RESPONSES} 401`,
      '/oauth/token 200',
      `${REGISTER} 200`,
      `${RESPONSES} 101`,
    ]);
  });
}
