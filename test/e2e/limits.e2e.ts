import t, { type Test } from 'tap';
import { CODEX_VERSIONS, CodexHome, type CodexVersion, installCodex, isSince } from './codex.ts';
import { startServeWithEmulator } from './serve-with-emulator.ts';

const RESPONSES = '/backend-api/codex/responses';
const EXEC = ['exec', '--skip-git-repo-check', '--ephemeral', '-c', 'analytics.enabled=false'];

type StageOptions = Parameters<typeof startServeWithEmulator>[0];

/** One turn of the real CLI, with a client token that is limited. */
async function takeTurn(
  t: Test,
  version: CodexVersion,
  webSockets: boolean,
  options: StageOptions,
  args: string[] = [],
) {
  const program = await installCodex(version);
  const stage = await startServeWithEmulator(options);
  t.teardown(() => stage.close());
  const { url: baseUrl, clientToken } = stage;
  const home = await CodexHome.create({ baseUrl, clientToken, webSockets });
  t.teardown(() => home.remove());
  const run = await home.run(program, [...EXEC, ...args, 'hi']);
  const seen = stage.backend.records
    .filter(({ path }) => path === RESPONSES)
    .map(({ transport, status }) => `${transport} ${status}`);
  return { run, seen };
}

for (const version of CODEX_VERSIONS) {
  for (const webSockets of [false, true]) {
    const way = webSockets ? 'on the upgrade' : 'over HTTP';
    t.test(`Codex ${version} shows at once that the tokens are used up, ${way}`, async (t) => {
      const { run, seen } = await takeTurn(t, version, webSockets, {
        limits: 'output-tokens=50',
        usedToday: { input: 1, output: 50 },
      });
      t.equal(run.code, 1);
      t.match(
        run.stderr,
        /hit your usage limit\. The client token "agent" has used its 50 output tokens of today \(UTC\): ask for a higher limit, or try again at /,
      );
      t.notMatch(run.stderr, 'Reconnecting', 'it does not try again and again');
      t.strictSame(seen, [], 'nothing of it went upstream');
    });
  }

  t.test(`Codex ${version} shows at once that a model is not allowed`, async (t) => {
    const options = { limits: 'models=gpt-allowed' };
    const model = ['-c', 'model="gpt-other"'];
    const { run, seen } = await takeTurn(t, version, false, options, model);
    t.equal(run.code, 1);
    t.match(run.stderr, /is limited to models: it may use gpt-allowed, and not gpt-other/);
    t.strictSame(seen, []);
  });

  if (!isSince(version, '0.169.0')) continue;
  t.test(`Codex ${version} goes on over HTTP where WebSockets are not judged`, async (t) => {
    const options = { limits: 'models=gpt-allowed' };
    const model = ['-c', 'model="gpt-allowed"'];
    const { run, seen } = await takeTurn(t, version, true, options, model);
    t.equal(run.code, 0, run.stderr);
    t.strictSame(seen, ['http 200']);
  });
}
