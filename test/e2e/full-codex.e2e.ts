import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import { type AgentScene, ANSWER, EXEC, NO_INTERNET, openAgentScene } from './agent-scene.ts';
import { checkAsked, checkReplies, checkTraffic, LIMITS, USAGE } from './agent-traffic.ts';
import { askAppServer } from './app-server.ts';
import { CODEX_VERSIONS, isSince, runCodex } from './codex.ts';

for (const version of CODEX_VERSIONS.filter((known) => isSince(known, '0.169.0')))
  t.test(`Codex ${version} with a phantom login`, { skip: NO_INTERNET }, async (t) => {
    const scene = await openAgentScene(t, version);
    const options = ['--write', '--login', '--token-file', '-', '--url', scene.url];
    await scene.configure(['codex-config', ...options], scene.clientToken);
    await t.test('asks the sidecar for all, and nobody else', (t) => asksForAll(t, scene));
    await t.test('uses apps if its environment has the client token', (t) => usesApps(t, scene));
    await t.test('refreshes it at the sidecar', (t) => refreshes(t, scene));
    await t.test('is worth nothing at chatgpt.com', (t) => isWorthNothing(t, scene));
  });

async function asksForAll(t: Test, scene: AgentScene): Promise<void> {
  const { home, codex, command, internet, backend } = scene;
  const status = await codex(['login', 'status']);
  t.match(status.stdout + status.stderr, 'Logged in using ChatGPT');

  const turn = await codex(EXEC);
  t.equal(turn.code, 0, turn.stderr);
  t.match(turn.stdout, ANSWER);

  await checkReplies(t, scene, {
    answers: {
      'account/read': { requiresOpenaiAuth: false },
      'account/rateLimits/read': LIMITS,
      'account/usage/read': USAGE,
      'app/list': { data: [] },
      'model/list': { data: [{ id: String }] },
      'plugin/list': { marketplaces: [] },
      'config/read': { config: { model_provider: 'sidecar' } },
    },
    command: command('app-server'),
    env: internet.env,
  });

  await runCodex(home, ['git', 'init', '--quiet']);
  const applied = await codex(['apply', 'task_1']);
  t.equal(applied.code, 0, applied.stderr);
  t.equal(readFileSync(join(home, 'emulated.txt'), 'utf8'), 'of the emulated task\n');

  checkTraffic(t, scene);
  checkAsked(t, scene, [
    'codex/responses',
    'codex/analytics-events/events',
    'wham/settings/user',
    'wham/usage',
    'wham/profiles/me',
    'wham/tasks/task_1',
    'ps/plugins/installed',
    'plugins/featured',
  ]);
  const paths = backend.records.map(({ path }) => path);
  t.notMatch(paths.join('\n'), /ps\/mcp|accounts\/check/);
}

async function usesApps(t: Test, scene: AgentScene): Promise<void> {
  const { backend, clientToken, codex, command, home, internet } = scene;
  const env = { ...internet.env, CODEX_CONNECTORS_TOKEN: clientToken };
  const turn = await codex(['--enable', 'apps', ...EXEC], env);
  t.equal(turn.code, 0, turn.stderr);
  const said = backend.records.flatMap(({ path, body }) =>
    path === '/backend-api/ps/mcp' ? [(body as { method: string }).method] : [],
  );
  t.strictSame(said, ['initialize', 'notifications/initialized', 'tools/list'], 'once, to the end');
  const server = command('--enable', 'apps', 'app-server');
  t.match(await askAppServer(home, server, ['app/list'], env), [{ result: { data: [] } }]);
  checkTraffic(t, scene);
  checkAsked(t, scene, ['ps/mcp', 'connectors/directory/list']);
}

async function refreshes(t: Test, scene: AgentScene): Promise<void> {
  const { backend, clientToken, codex, home } = scene;
  const path = join(home, 'auth.json');
  const read = () => JSON.parse(readFileSync(path, 'utf8'));
  const old = '2026-01-01T00:00:00Z';
  writeFileSync(path, JSON.stringify({ ...read(), last_refresh: old }));
  const turn = await codex(EXEC);
  t.equal(turn.code, 0, turn.stderr);
  const { last_refresh: refreshedAt, tokens } = read();
  t.not(refreshedAt, old);
  t.equal(tokens.access_token, clientToken);
  t.notOk(
    backend.records.some(({ path }) => path === '/oauth/token'),
    'the real login took no part in it',
  );
  checkTraffic(t, scene);
}

/** A thief has the login without the configuration. (Codex would try a turn for many seconds.) */
async function isWorthNothing(t: Test, scene: AgentScene): Promise<void> {
  const { internet, home, codex, command, clientToken, backend } = scene;
  writeFileSync(join(home, 'config.toml'), '[otel]\nmetrics_exporter = "none"\n');
  const before = backend.records.length;
  const methods = ['account/rateLimits/read', 'account/usage/read'];
  const replies = await askAppServer(home, command('app-server'), methods, internet.env);
  for (const { error } of replies) t.match(error, { message: /401|auth/i });
  const cloud = await codex(['cloud', 'list']);
  t.not(cloud.code, 0);
  t.match(cloud.stderr, /401 Unauthorized/);
  const shown = internet.emulator.records.filter(({ headers }) =>
    headers.authorization?.includes(clientToken),
  );
  for (const path of ['/wham/usage', '/wham/profiles/me', '/wham/tasks/list']) {
    const there = shown.filter((record) => record.path.startsWith(`/backend-api${path}`));
    t.match(there, [{ headers: { host: 'chatgpt.com' }, status: 401 }], path);
  }
  t.ok(shown.every(({ status, auth }) => status === 401 && !auth.verified));
  t.ok(internet.names.has('chatgpt.com'), 'so the recorder is not deaf');
  t.equal(backend.records.length, before, 'nothing went through the sidecar');
}
