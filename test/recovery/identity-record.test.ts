import t from 'tap';
import type { JsonObject } from '../../src/base/json.ts';
import type { Emulator } from '../../src/emulator/index.ts';
import { fixture } from '../helpers/fixture.ts';
import {
  getModels,
  Home,
  infer,
  RESPONSES,
  startAnotherSidecar,
  startSidecarWithClock,
  TOKEN,
  WITH_IDENTITY,
} from '../helpers/sidecar-with-clock.ts';

const AGENTS = '/agent/register';
const TASKS = '/task/register';
const DEGRADABLE = { agentIdentity: { policy: 'chatgptAuth', onUnavailable: 'bearer' } };

t.test(
  'a restart uses identity and task again; a record without a task gets one, kept',
  async (t) => {
    const scene = await startSidecarWithClock(t, { config: WITH_IDENTITY });
    await infer(scene);
    await scene.stop();
    const { agent_identity: record, ...rest } = scene.home.read();
    const again = await startAnotherSidecar(t, scene, { home: scene.home, config: WITH_IDENTITY });
    t.equal((await infer(again)).status, 200);
    t.equal(scene.count(AGENTS), 1);
    t.equal(scene.count(TASKS), 1);
    await again.stop();
    scene.home.write({ ...rest, agent_identity: { ...Object(record), task_id: ' ', more: 1 } });
    const third = await startAnotherSidecar(t, scene, { home: scene.home, config: WITH_IDENTITY });
    t.equal((await infer(third)).status, 200);
    t.equal(scene.count(AGENTS), 1);
    t.equal(scene.count(TASKS), 2);
    const { task_id, ...others } = Object(scene.home.read().agent_identity);
    const { task_id: _, ...before } = Object(record);
    t.match(task_id, /^task_2/);
    t.strictSame(others, { ...before, more: 1 });
  },
);

t.test(
  'the record of another account is never used: at start, and after an account switch',
  async (t) => {
    const scene = await startSidecarWithClock(t, { config: WITH_IDENTITY });
    await infer(scene);
    const record = scene.home.read().agent_identity as JsonObject;
    const { authJson, accountId } = scene.emulator.issueLogin();
    scene.home.write({ ...authJson, agent_identity: record });
    await scene.sidecar.reload();
    const since = scene.emulator.records.length;
    t.equal((await infer(scene)).status, 200);
    const served = scene.emulator.records.slice(since).find(({ path }) => path === RESPONSES);
    t.equal(served?.headers['chatgpt-account-id'], accountId);
    t.not(served?.auth.agentRuntimeId, record.agent_runtime_id);
    t.equal(
      scene.home.field('agent_identity', 'account_id'),
      accountId,
      'a new record in its place',
    );
    t.equal(scene.count(AGENTS), 2);
  },
);

t.test(
  'a switch that nobody told us of: the new account, with an identity of its own',
  async (t) => {
    const scene = await startSidecarWithClock(t, { config: WITH_IDENTITY });
    while ((await scene.status()).status !== 'ready');
    const record = scene.home.read().agent_identity;
    scene.emulator.revokeTask(String(Object(record).task_id));
    const { authJson } = scene.emulator.issueLogin();
    scene.home.write(authJson);
    t.equal((await infer(scene)).status, 200, 'a refusal has the file read again');
    const { agent_identity: next, ...rest } = scene.home.read();
    t.strictSame(rest, authJson);
    t.equal(Object(next).account_id, authJson.tokens.account_id);
    t.not(Object(next).agent_runtime_id, Object(record).agent_runtime_id);
  },
);

t.test('a record with a key that is none is replaced', async (t) => {
  const scene = await startSidecarWithClock(t, {
    config: WITH_IDENTITY,
    authJson: (emulator) => {
      const { authJson, accountId: account_id, userId: chatgpt_user_id } = emulator.issueLogin();
      const record = { agent_runtime_id: 'a', agent_private_key: 'no key', task_id: 't' };
      return { ...authJson, agent_identity: { ...record, account_id, chatgpt_user_id } };
    },
  });
  t.equal((await infer(scene)).status, 200);
  t.equal(scene.count(AGENTS), 1);
  t.not(scene.home.field('agent_identity', 'agent_private_key'), 'no key');
});

t.test('a record that Codex wrote (PKCS#8 v2) is used without any registration', async (t) => {
  const { auth_json_agent_identity: recorded } = fixture.recorded[1];
  const scene = await startSidecarWithClock(t, {
    config: WITH_IDENTITY,
    authJson: (emulator) => {
      const { authJson, accountId: account_id, userId: chatgpt_user_id } = emulator.issueLogin();
      const record = { ...recorded, account_id, chatgpt_user_id, task_id: 'task-of-codex' };
      return { ...authJson, agent_identity: record };
    },
  });
  await infer(scene);
  t.equal(scene.count('/register'), 1, 'only the task that the emulator does not know is renewed');
  const [first] = scene.emulator.records;
  t.equal(first?.path, RESPONSES);
  t.match(first?.auth, { agentRuntimeId: recorded.agent_runtime_id, taskId: 'task-of-codex' });
});

t.test('a JWT that ends while it is in use goes on; a restart refuses it', async (t) => {
  const home = new Home(t);
  const token = { CODEX_AGENT_IDENTITY: '' };
  const env = (emulator: Emulator) => {
    token.CODEX_AGENT_IDENTITY ||= emulator.issueIdentityToken({ expiresInSeconds: 60 });
    return token;
  };
  const scene = await startSidecarWithClock(t, { home, authJson: () => null, env });
  t.equal((await infer(scene)).status, 200);
  scene.time.advance(120_000);
  t.equal((await infer(scene)).status, 200);
  t.equal(await scene.sidecar.manager.reload(), null);
  t.equal((await infer(scene)).status, 200);
  const again = await startAnotherSidecar(t, scene, { home, env });
  const refused = await infer(again);
  t.equal(refused.code, 'AUTH_CREDENTIAL_INVALID');
  t.match(refused.text, /expired/);
});

t.test('a bootstrap that is exhausted cools down, visibly', async (t) => {
  const scene = await startSidecarWithClock(t, { config: WITH_IDENTITY });
  scene.emulator.addFault({ path: '/api/accounts/*', status: 503, times: 3 });
  const first = await infer(scene);
  t.equal(first.status, 503);
  t.equal(first.code, 'AUTH_IDENTITY_UNAVAILABLE');
  t.equal(first.headers.get('retry-after'), '60');
  t.equal(scene.count(AGENTS), 3);
  scene.time.advance(20_000);
  t.equal((await infer(scene)).headers.get('retry-after'), '40');
  t.equal(scene.count(AGENTS), 3);
  const { status, agentIdentity } = await scene.status();
  t.equal(status, 'failed');
  t.equal(agentIdentity.state, 'unavailable');
  t.match(agentIdentity.lastError, /503.*\(next try 2026-11-20T21:31:36Z\)/);
  t.equal((await getModels(scene)).status, 200, 'the bearer is not concerned');
  await scene.sidecar.reload();
  t.equal(
    (await infer(scene)).code,
    'AUTH_IDENTITY_UNAVAILABLE',
    'a reload does not end the pause',
  );
  t.equal(scene.count(AGENTS), 3);
  scene.time.advance(40_000);
  t.equal((await infer(scene)).status, 200);
});

t.test('onUnavailable: bearer is ready, degraded, warned of and counted', async (t) => {
  const scene = await startSidecarWithClock(t, { config: DEGRADABLE });
  scene.emulator.addFault({ path: '/api/accounts/*', status: 403 });
  while ((await scene.status()).agentIdentity.state !== 'unavailable');
  const readiness = await fetch(`${scene.url}/readyz`);
  t.equal(readiness.status, 200, 'before the first request');
  t.strictSame(await readiness.json(), { status: 'degraded' });
  for (const _ of [1, 2]) t.equal((await infer(scene)).status, 200);
  await getModels(scene);
  const kinds = scene.emulator.records.filter(({ path }) => path === RESPONSES);
  t.strictSame(
    kinds.map(({ auth }) => auth.kind),
    ['bearer', 'bearer'],
  );
  const { requests } = await scene.status();
  t.match(requests, { assertion: 0, bearer: 3, degraded: 2 });
  const warnings = () => scene.log.filter((line) => line.includes('sending the bearer'));
  t.equal(warnings().length, 1);
  scene.time.advance(60_000);
  t.equal((await infer(scene)).status, 200);
  t.equal(scene.emulator.records.at(-1)?.auth.kind, 'assertion');
  const after = await scene.status();
  t.equal(after.status, 'ready');
  t.match(after.requests, { assertion: 1, degraded: 2 });
});

t.test(
  'both kinds of refusal at once: a bearer in place of an assertion is refreshed like any',
  async (t) => {
    const scene = await startSidecarWithClock(t, { config: DEGRADABLE });
    scene.emulator.addFault({ path: '/api/accounts/*', status: 403 });
    while ((await scene.status()).agentIdentity.state !== 'unavailable');
    scene.emulator.expireAccessTokens();
    t.equal((await infer(scene)).status, 200);
    t.equal(scene.count(TOKEN), 1);
  },
);
