import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { makeFolder } from '../helpers/program.ts';
import { EXEC, NO_INTERNET, openAgentScene } from './agent-scene.ts';
import { checkAsked, checkTraffic, LIMITS, USAGE } from './agent-traffic.ts';
import { askAppServer } from './app-server.ts';
import { CODEX_VERSIONS, isSince, runCodex } from './codex.ts';

for (const version of CODEX_VERSIONS.filter((known) => isSince(known, '0.169.0')))
  t.test(`Codex ${version} in the home that run gives it`, { skip: NO_INTERNET }, async (t) => {
    const scene = await openAgentScene(t, version);
    const { backend, commandByRun, home, internet } = scene;
    const { authJson, accessToken } = backend.issueLogin({ planType: 'plus' });
    writeFileSync(join(home, 'auth.json'), JSON.stringify(authJson), { mode: 0o600 });
    const env = { ...internet.env, XDG_STATE_HOME: await makeFolder(t) };
    const methods = ['account/read', 'account/rateLimits/read', 'account/usage/read', 'app/list'];
    const command = commandByRun([], ['app-server']);
    const [account, limits, usage, apps] = await askAppServer(home, command, methods, env);
    t.match(account, {
      result: { account: { type: 'chatgpt', planType: 'plus' }, workspaceRouting: null },
    });
    t.match(limits, { result: LIMITS });
    t.match(usage, { result: USAGE });
    t.match(apps, { error: { message: /account ID not available/ } }, 'the login names no account');
    const turn = await runCodex(home, commandByRun([], EXEC), { env });
    t.equal(turn.code, 0, turn.stderr);
    checkTraffic(t, scene, accessToken);
    checkAsked(t, scene, ['codex/responses', 'codex/models', 'wham/usage', 'ps/mcp']);
  });
