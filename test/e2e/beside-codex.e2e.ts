import { spawn } from 'node:child_process';
import { once } from 'node:events';
import t, { type Test } from 'tap';
import { parseAssertion, verifyAssertion } from '../../src/agent-identity/assertion.ts';
import { fixture } from '../helpers/fixture.ts';
import { startScriptedUpstream, whenWhole } from '../helpers/scripted-upstream.ts';
import {
  getModels,
  infer,
  lastTask,
  startSidecarWithClock,
  WITH_IDENTITY,
} from '../helpers/sidecar-with-clock.ts';
import { CODEX_VERSIONS, type CodexVersion, installCodex, isSince } from './codex.ts';

/** Those that read an identity record in `auth.json`. */
const VERSIONS = CODEX_VERSIONS.filter((version) => isSince(version, '0.169.0'));

/** What the real CLI says about the login in `folder`, with nothing of our environment but PATH. */
async function loginStatus(program: string, folder: string) {
  const child = spawn(program, ['login', 'status'], {
    env: { PATH: process.env.PATH, HOME: folder, CODEX_HOME: folder },
    stdio: ['ignore', 'pipe', 'pipe'],
    timeout: 60_000,
  });
  let output = '';
  for (const stream of [child.stdout, child.stderr]) {
    stream.setEncoding('utf8').on('data', (text: string) => {
      output += text;
    });
  }
  const [code] = await once(child, 'close');
  return { code, output };
}

async function loads(t: Test, version: CodexVersion, folder: string): Promise<void> {
  const { code, output } = await loginStatus(await installCodex(version), folder);
  t.equal(code, 0, output);
  t.match(output, 'Logged in using ChatGPT');
}

for (const version of VERSIONS)
  t.test(
    `Codex ${version} loads an auth.json that the sidecar has refreshed and registered`,
    async (t) => {
      const scene = await startSidecarWithClock(t, { config: WITH_IDENTITY });
      await loads(t, version, scene.home.folder);
      t.equal((await infer(scene)).status, 200);
      scene.emulator.expireAccessTokens();
      t.equal((await getModels(scene)).status, 200);
      scene.emulator.revokeTask(lastTask(scene.emulator));
      t.equal((await infer(scene)).status, 200);
      t.match(scene.home.read(), { agent_identity: { task_id: lastTask(scene.emulator) } });
      await loads(t, version, scene.home.folder);
      const afterwards = scene.home.text();
      t.equal((await infer(scene)).status, 200);
      t.equal(scene.home.text(), afterwards, 'and leaves it as it is');
    },
  );

for (const version of VERSIONS)
  t.test(
    `a record that Codex wrote is used without a new registration, and Codex ${version} loads it`,
    async (t) => {
      const { auth_json_agent_identity: recorded, public_key_ssh: publicKey } = fixture.recorded[1];
      const upstream = await startScriptedUpstream(t, (request, response) =>
        whenWhole(request, () => response.writeHead(200).end()),
      );
      const scene = await startSidecarWithClock(t, {
        config: WITH_IDENTITY,
        origin: upstream.origin,
        authJson: (emulator) => {
          const {
            authJson,
            accountId: account_id,
            userId: chatgpt_user_id,
          } = emulator.issueLogin();
          const login = { account_id, chatgpt_user_id, email: 'a@example.com', plan_type: 'pro' };
          const rest = { chatgpt_account_is_fedramp: false, task_id: 'task-of-codex' };
          return { ...authJson, agent_identity: { ...recorded, ...login, ...rest } };
        },
      });
      const before = scene.home.text();
      t.equal((await infer(scene)).status, 200);
      const claims = parseAssertion(upstream.arrivals[0] ?? '');
      t.match(claims, { agent_runtime_id: recorded.agent_runtime_id, task_id: 'task-of-codex' });
      t.ok(claims && verifyAssertion(claims, publicKey), 'signed with the key of the record');
      t.equal(scene.emulator.records.length, 0, 'nothing was registered');
      t.equal(scene.home.text(), before);
      await loads(t, version, scene.home.folder);
    },
  );
