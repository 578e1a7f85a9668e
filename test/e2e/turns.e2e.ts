import t, { type Test } from 'tap';
import type { ClientsDocument } from '../../src/admin/clients.ts';
import { type EmulatorRecord, startEmulator } from '../../src/emulator/index.ts';
import { send } from '../helpers/exchange.ts';
import { toldByBackend } from '../helpers/mixed-turns.ts';
import { CODEX_VERSIONS, CodexHome, type CodexVersion, installCodex, isSince } from './codex.ts';
import { type ServeWithEmulator, startServeWithEmulator } from './serve-with-emulator.ts';

const RESPONSES = '/backend-api/codex/responses';
const ANSWER = 'Hello from the emulated backend.';
const EXEC = ['exec', '--skip-git-repo-check'];

interface SidecarWithClock {
  stage: ServeWithEmulator;
  home: CodexHome;
  program: string;
}

async function scene(
  t: Test,
  version: CodexVersion,
  provider: { webSockets: boolean; compactAfterTokens?: number },
): Promise<SidecarWithClock> {
  const program = await installCodex(version);
  const stage = await startServeWithEmulator();
  t.teardown(() => stage.close());
  const { url: baseUrl, clientToken } = stage;
  const home = await CodexHome.create({ baseUrl, clientToken, ...provider });
  t.teardown(() => home.remove());
  return { stage, home, program };
}

const isUpgrade = (record: EmulatorRecord) => record.transport === 'websocket';
const isPost = (record: EmulatorRecord, path: string) =>
  record.transport === 'http' && record.method === 'POST' && record.path === path;
const hasVerifiedAssertion = ({ auth }: EmulatorRecord) =>
  auth.kind === 'assertion' && auth.verified;

function bodiesOf(records: readonly EmulatorRecord[]): string[] {
  return records.flatMap(({ body, frames }) =>
    [body, ...frames].map((part) => JSON.stringify(part)),
  );
}

/** What holds in every scene, whatever Codex did. */
function checkBackend(t: Test, { backend, clientToken }: ServeWithEmulator): void {
  const { records } = backend;
  const registrations = (end: string) => records.filter(({ path }) => path.endsWith(end)).length;
  t.equal(registrations('/v1/agent/register'), 1, 'one agent was registered');
  t.equal(registrations('/task/register'), 1, 'one run task was registered');
  const inference = records.filter(({ path }) => path.startsWith(RESPONSES));
  t.ok(inference.length > 0 && inference.every(hasVerifiedAssertion), 'assertions all verified');
  t.notMatch(JSON.stringify(records), clientToken, 'the client token stayed here');
}

/** What the sidecar has read of the turns is what the backend told. */
async function checkUsage(t: Test, { backend, url }: ServeWithEmulator): Promise<void> {
  const told = toldByBackend(backend);
  t.ok(told.input > 0 && told.output > 0, 'the backend told something');
  // What comes compressed over a WebSocket is read a moment later.
  for (;;) {
    const { text } = await send(`${url}/auth/clients`);
    const { clients } = JSON.parse(text) as ClientsDocument;
    const { name, today } = clients[0] ?? {};
    if ((today?.tokens.input ?? 0) < told.input) continue;
    t.match({ name, today }, { name: 'agent', today: { tokens: told, unknown: 0 } });
    t.strictSame(today?.tokens, told);
    return;
  }
}

for (const version of CODEX_VERSIONS) {
  t.test(`Codex ${version} finishes a turn over a WebSocket`, async (t) => {
    const { stage, home, program } = await scene(t, version, { webSockets: true });
    const run = await home.run(program, [...EXEC, '--ephemeral', 'hi']);
    t.equal(run.code, 0, run.stderr);
    t.match(run.stdout, ANSWER);
    checkBackend(t, stage);
    await checkUsage(t, stage);
    const upgrades = stage.backend.records.filter(isUpgrade);
    t.equal(upgrades.length, 1);
    t.match(upgrades[0]?.frames, [{ type: 'response.create' }]);
    t.notOk(
      stage.backend.records.some((record) => isPost(record, RESPONSES)),
      'no fallback',
    );
  });

  t.test(`Codex ${version} finishes a turn over server-sent events`, async (t) => {
    const { stage, home, program } = await scene(t, version, { webSockets: false });
    const run = await home.run(program, [...EXEC, '--ephemeral', 'hi']);
    t.equal(run.code, 0, run.stderr);
    t.match(run.stdout, ANSWER);
    checkBackend(t, stage);
    await checkUsage(t, stage);
    t.equal(stage.backend.records.filter((record) => isPost(record, RESPONSES)).length, 1);
    t.notOk(stage.backend.records.some(isUpgrade));
  });

  t.test(`Codex ${version} falls back to HTTP when the upgrade is answered 426`, async (t) => {
    const { stage, home, program } = await scene(t, version, { webSockets: true });
    stage.backend.addFault({ path: RESPONSES, upgrade: true, status: 426, times: 0 });
    const run = await home.run(program, [...EXEC, '--ephemeral', 'hi']);
    t.equal(run.code, 0, run.stderr);
    t.match(run.stdout, ANSWER);
    checkBackend(t, stage);
    const upgrades = stage.backend.records.filter(isUpgrade);
    t.strictSame(
      upgrades.map(({ status }) => status),
      [426],
      'one attempt: it saw the real status',
    );
    t.equal(stage.backend.records.filter((record) => isPost(record, RESPONSES)).length, 1);
  });
}

for (const version of CODEX_VERSIONS.filter((each) => isSince(each, '0.169.0'))) {
  t.test(`Codex ${version} compacts remotely, version 2`, async (t) => {
    const { stage, home, program } = await scene(t, version, {
      webSockets: true,
      compactAfterTokens: 5,
    });
    const first = await home.run(program, [...EXEC, 'hi']);
    t.equal(first.code, 0, first.stderr);
    const second = await home.run(program, [...EXEC, 'resume', '--last', 'again']);
    t.equal(second.code, 0, second.stderr);
    t.match(second.stderr, /context compacted/i);
    checkBackend(t, stage);
    t.ok(
      bodiesOf(stage.backend.records).some((body) => body.includes('compaction_trigger')),
      'the backend saw the trigger',
    );
  });
}

for (const version of CODEX_VERSIONS.filter((each) => !isSince(each, '0.169.0'))) {
  t.test(`Codex ${version} compacts remotely, version 1`, async (t) => {
    const { stage, home, program } = await scene(t, version, {
      webSockets: false,
      compactAfterTokens: 5,
    });
    const options = [...EXEC, '--disable', 'remote_compaction_v2'];
    const first = await home.run(program, [...options, 'hi']);
    t.equal(first.code, 0, first.stderr);
    const second = await home.run(program, [...options, 'resume', '--last', 'again']);
    t.equal(second.code, 0, second.stderr);
    checkBackend(t, stage);
    const compactions = stage.backend.records.filter((record) =>
      isPost(record, `${RESPONSES}/compact`),
    );
    t.ok(compactions.length > 0, 'the backend saw POST /responses/compact');
    t.ok(compactions.every(({ status, complete }) => status === 200 && complete));
  });
}

// Later ones are left out: logged in, they first ask the backend for the origin of their workspace and
// accept https only.
for (const version of CODEX_VERSIONS.filter((each) => !isSince(each, '0.169.0')))
  t.test(
    `Codex ${version} with a login of its own: the sidecar drops it and sends its own`,
    async (t) => {
      const program = await installCodex(version);
      const stage = await startServeWithEmulator({ askForToken: false });
      t.teardown(() => stage.close());
      const stranger = await startEmulator();
      t.teardown(() => stranger.close());
      const { url: baseUrl, clientToken } = stage;
      const home = await CodexHome.create({ baseUrl, clientToken, webSockets: true });
      t.teardown(() => home.remove());
      const login = stranger.issueLogin();
      await home.logIn(baseUrl, login.authJson);
      const run = await home.run(program, [...EXEC, '--ephemeral', 'hi']);
      t.equal(run.code, 0, run.stderr);
      t.match(run.stdout, ANSWER);
      checkBackend(t, stage);
      const { records } = stage.backend;
      const text = JSON.stringify(records.map(({ rawHeaders }) => rawHeaders));
      t.notMatch(text, login.accessToken, 'no token of the client went upstream');
      t.notMatch(text, login.accountId, 'no account of the client went upstream');
      const side = records.filter(
        ({ path }) => path.startsWith('/backend-api/') && !path.startsWith(RESPONSES),
      );
      t.ok(
        side.some(({ path }) => path.startsWith('/backend-api/codex/models')),
        'asked for models',
      );
      t.ok(
        side.every(({ auth }) => auth.kind === 'bearer' && auth.verified),
        'every side request carried the bearer of the sidecar',
      );
    },
  );
