import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import type { Emulator } from '../../src/emulator/index.ts';
import { makeFolder } from '../helpers/program.ts';
import {
  type AgentScene,
  ANSWER,
  EXEC,
  FOREIGN_ORIGIN,
  NO_INTERNET,
  openAgentScene,
  RESPONSES,
  whereTo,
} from './agent-scene.ts';
import { CODEX_VERSIONS, type CodexRun, type CodexVersion, isSince, runCodex } from './codex.ts';

const VERSIONS = CODEX_VERSIONS.filter((version) => isSince(version, '0.169.0'));

type Recipe = (scene: AgentScene, stateFolder: string) => Promise<CodexRun>;

function byRun(
  { commandByRun, home, internet }: AgentScene,
  options: string[],
  stateFolder: string,
): Promise<CodexRun> {
  const env = { ...internet.env, XDG_STATE_HOME: stateFolder };
  return runCodex(home, commandByRun(options, EXEC), { env });
}

/** Every way to point Codex at a sidecar that the program or the documents print. */
const RECIPES: Record<string, Recipe> = {
  'codex-config --write': async ({ clientToken, codex, configure, url }) => {
    const options = ['--write', '--token-file', '-', '--url', url];
    await configure(['codex-config', ...options], clientToken);
    return codex(EXEC);
  },
  'CODEX_API_KEY and openai_base_url': async ({ clientToken, codex, home, url }) => {
    writeFileSync(join(home, 'config.toml'), '');
    const setting = `openai_base_url="${url}/backend-api/codex"`;
    return codex([...EXEC.slice(0, -1), '-c', setting, 'hi'], { CODEX_API_KEY: clientToken });
  },
  run: (scene, state) => byRun(scene, [], state),
  'run --share-home': (scene, state) => byRun(scene, ['--share-home'], state),
  'run --isolate-home': (scene, state) => byRun(scene, ['--isolate-home'], state),
};

/** A home with a login of its own, of a workspace that is elsewhere. */
async function openScene(t: Test, version: CodexVersion) {
  const scene = await openAgentScene(t, version);
  const { backend, home, internet } = scene;
  const { authJson, accountId } = backend.issueLogin();
  writeFileSync(join(home, 'auth.json'), JSON.stringify(authJson), { mode: 0o600 });
  sayWorkspaceIsElsewhere(backend, accountId);
  sayWorkspaceIsElsewhere(internet.emulator, accountId);
  return scene;
}

/** Whoever asks, and with whatever credential. */
function sayWorkspaceIsElsewhere(emulator: Emulator, id: string): void {
  const account = { id, plan_type: 'pro', structure: 'personal', account_routing_override: 'us' };
  const accounts = [{ ...account, workspace_backend_origin: FOREIGN_ORIGIN }];
  const body = { accounts, default_account_id: id };
  emulator.addFault({ path: '/backend-api/wham/accounts/check', times: 0, body });
}

for (const version of VERSIONS) {
  t.test(
    `Codex ${version} takes its turn at the sidecar by every recipe`,
    { skip: NO_INTERNET },
    async (t) => {
      const scene = await openScene(t, version);
      const { backend, internet } = scene;
      const state = await makeFolder(t);
      for (const [name, recipe] of Object.entries(RECIPES)) {
        const before = backend.records.length;
        const { code, stdout, stderr } = await recipe(scene, state);
        t.equal(code, 0, `${name}: ${stderr}`);
        t.match(stdout, ANSWER);
        const turns = backend.records.slice(before).filter(({ path }) => path === RESPONSES);
        t.match(turns, [{ auth: { kind: 'assertion', verified: true } }], name);
        t.notOk(wentElsewhere(internet), name);
        const others = internet.emulator.records.filter(({ path }) => path.includes('/responses'));
        t.strictSame(others.map(whereTo), [], name);
      }
    },
  );
}

// The same trap without a recipe: base URLs for everything, and a login that the sidecar takes.
t.test('what doctor warns of does go past the sidecar', { skip: NO_INTERNET }, async (t) => {
  const { backend, codex, clientToken, configure, home, internet, url } = await openAgentScene(
    t,
    VERSIONS.at(-1) ?? '',
  );
  sayWorkspaceIsElsewhere(backend, 'sidecar');
  // With this Codex gives up at once.
  internet.emulator.addFault({ path: RESPONSES, times: 0, status: 400 });
  const options = ['--write', '--login', '--token-file', '-', '--url', url];
  await configure(['codex-config', ...options], clientToken);
  const base = `${url}/backend-api`;
  const lines = [`openai_base_url = "${base}/codex"`, `chatgpt_base_url = "${base}"`];
  writeFileSync(join(home, 'config.toml'), `${lines.join('\n')}\n`);
  await codex(EXEC);
  t.ok(wentElsewhere(internet));
  t.ok(internet.emulator.records.some(({ path }) => path === RESPONSES));
  t.notOk(
    backend.records.some(({ path }) => path === RESPONSES),
    'and not through it',
  );
});

function wentElsewhere({ names }: AgentScene['internet']): boolean {
  return names.has(new URL(FOREIGN_ORIGIN).hostname);
}
