import t, { type Test } from 'tap';
import type { Emulator } from '../../src/emulator/index.ts';
import { CODEX_VERSIONS, CodexHome, type CodexVersion, installCodex, isSince } from './codex.ts';
import { EXEC, startCodexAtOpenAi } from './codex-at-openai.ts';
import { startServeWithEmulator } from './serve-with-emulator.ts';

/** Those that have both forms of identity; the second behind a feature switch, at OpenAI's hosts only. */
const VERSIONS = CODEX_VERSIONS.filter((version) => isSince(version, '0.169.0'));

t.setTimeout(180_000);

const RESPONSES = '/backend-api/codex/responses';
const REGISTER = '/agent/register';

/** One turn of Codex with its own runtime instance. */
async function turn(
  t: Test,
  version: CodexVersion,
  mode: 'dual_header' | 'assertion_only',
  misbehave: (backend: Emulator) => void = () => undefined,
): Promise<Emulator> {
  const config = `[features]\nruntime_agent_instances = { enabled = true, mode = "${mode}" }`;
  const { backend, exec } = await startCodexAtOpenAi(t, version, { config });
  backend.settings.bearerOnAssertionRoutes = 'refuse';
  misbehave(backend);
  const run = await exec();
  t.equal(run.code, 0, run.stderr);
  t.match(run.stdout, 'Hello from the emulated backend.');
  return backend;
}

const kinds = { dual_header: 'dual', assertion_only: 'assertion' } as const;

for (const version of VERSIONS) {
  t.test(`Codex ${version} with an Agent Identity JWT is verified by the same code`, async (t) => {
    const { backend, exec } = await startCodexAtOpenAi(t, version);
    backend.settings.bearerOnAssertionRoutes = 'refuse';
    const run = await exec({ CODEX_ACCESS_TOKEN: backend.issueIdentityToken() });
    t.equal(run.code, 0, run.stderr);
    t.match(run.stdout, 'Hello from the emulated backend.');
    const turns = backend.records.filter(({ path }) => path === RESPONSES);
    t.ok(turns.length > 0);
    for (const { auth } of turns)
      t.match(auth, { kind: 'assertion', verified: true, taskId: String });
  });

  for (const mode of ['dual_header', 'assertion_only'] as const) {
    t.test(`Codex ${version} (${mode}) is verified by the code that verifies us`, async (t) => {
      const { records } = await turn(t, version, mode);
      const registrations = records.filter(({ path }) => path === REGISTER);
      t.match(registrations, [{ status: 200, body: { actor_auth: { type: 'oauth' } } }]);
      t.ok(records.some(({ path, status }) => path === RESPONSES && status === 101));
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

const newest = VERSIONS.at(-1);
if (newest !== undefined) {
  for (const headers of ['dual', 'assertionOnly'] as const) {
    t.test(`a sidecar (${headers}) in front of Codex ${newest} is verified too`, async (t) => {
      const identity = { form: 'runtimeInstance', headers };
      const stage = await startServeWithEmulator({ identity });
      t.teardown(() => stage.close());
      const { url: baseUrl, clientToken, backend } = stage;
      const home = await CodexHome.create({ baseUrl, clientToken, webSockets: true });
      t.teardown(() => home.remove());
      const run = await home.run(await installCodex(newest), EXEC);
      t.equal(run.code, 0, run.stderr);
      t.match(run.stdout, 'Hello from the emulated backend.');
      const turns = backend.records.filter(({ path }) => path === RESPONSES);
      t.ok(turns.length > 0);
      const kind = headers === 'dual' ? 'dual' : 'assertion';
      for (const { auth } of turns) t.match(auth, { kind, verified: true });
      t.equal(backend.records.filter(({ path }) => path === REGISTER).length, 1);
    });
  }
}
