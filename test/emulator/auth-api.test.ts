import t from 'tap';
import { generateAgentKey, signMessage } from '../../src/agent-identity/keys.ts';
import { openSealedTaskId } from '../../src/agent-identity/sealed-task-id.ts';
import { wholeSeconds } from '../../src/base/clock.ts';
import { call, registerAgent, registerTask, registration, start, taskUrl } from './client.ts';

t.test('registers agents and opaque tasks', async (t) => {
  const emulator = await start(t);
  const agent = await registerAgent(emulator);
  t.match(agent.agentRuntimeId, /^agent-rt\+/);
  t.match(agent.taskId, /^task_1\/opaque\+.*==:x$/);
  const second = await registerTask(emulator, agent.agentRuntimeId, agent.key);
  t.not(second.body.task_id, agent.taskId);
});

t.test('seals task ids to the key of the agent', async (t) => {
  const emulator = await start(t);
  const { key, agentRuntimeId } = await registerAgent(emulator);
  emulator.settings.sealTaskIds = true;
  const { body } = await registerTask(emulator, agentRuntimeId, key);
  t.notOk('task_id' in body);
  t.match(await openSealedTaskId(key, String(body.encrypted_task_id)), /^task_2\//);
});

t.test('takes an agent registration in exactly one shape', async (t) => {
  const emulator = await start(t);
  const url = `${emulator.upstream.authApiBaseUrl}/v1/agent/register`;
  const { accessToken } = emulator.issueLogin();
  const headers = { authorization: `Bearer ${accessToken}` };
  const good = registration(generateAgentKey());
  const { ttl: _, ...withoutTtl } = good;
  const bad: [unknown, RegExp][] = [
    [withoutTtl, /ttl is missing/],
    [{ ...good, target: 'x' }, /target is not a field/],
    [{ ...good, abom: { agent_version: '1' } }, /abom\.\w+ is missing/],
    [{ ...good, ttl: 60 }, /ttl/],
    [{ ...good, capabilities: ['everything'] }, /capabilities/],
    [{ ...good, agent_public_key: 'ssh-rsa AAAA' }, /agent_public_key/],
    ['text', /JSON object/],
  ];
  for (const [body, problem] of bad) {
    const reply = await call(url, { headers, body });
    t.equal(reply.status, 400);
    t.match(reply.text, problem);
  }
  t.equal((await call(url, { body: good })).status, 401, 'without a bearer token');
});

t.test('refuses task registrations', async (t) => {
  const emulator = await start(t);
  const { agentRuntimeId, key } = await registerAgent(emulator);
  const url = taskUrl(emulator, agentRuntimeId);
  const timestamp = wholeSeconds(Date.now());
  const signature = signMessage(key, `${agentRuntimeId}:${timestamp}`);
  const good = { timestamp, signature };

  t.equal((await call(url, { body: { ...good, target: 'x' } })).status, 400, 'a third field');
  t.equal((await call(url, { body: { timestamp } })).status, 400, 'no signature');
  const headers = { authorization: 'Bearer x' };
  t.equal((await call(url, { body: good, headers })).status, 400, 'with Authorization');
  t.equal((await registerTask(emulator, agentRuntimeId, generateAgentKey())).status, 401, 'key');
  const old = Date.now() - 400_000;
  t.equal((await registerTask(emulator, agentRuntimeId, key, old)).status, 401, 'old');
  t.equal((await registerTask(emulator, 'agent-unknown', key)).status, 404, 'unknown agent');
  emulator.deleteAgent(agentRuntimeId);
  const deleted = await registerTask(emulator, agentRuntimeId, key);
  t.equal(deleted.status, 403);
  t.match(deleted.text, /biscuit_baker_service_agent_error_status/);
});

t.test('whoami describes the account of a personal access token', async (t) => {
  const emulator = await start(t);
  const token = emulator.issuePersonalAccessToken({ accountId: 'acc', planType: 'team' });
  const url = `${emulator.upstream.authApiBaseUrl}/v1/user-auth-credential/whoami`;
  const { body } = await call(url, { headers: { authorization: `Bearer ${token}` } });
  t.match(body, {
    email: 'someone@example.com',
    chatgpt_user_id: String,
    chatgpt_account_id: 'acc',
    chatgpt_plan_type: 'team',
    chatgpt_account_is_fedramp: false,
  });
  t.equal((await call(url)).status, 401);
});

t.test('measures timestamps by its own clock, skewed as its Date header', async (t) => {
  const emulator = await start(t);
  const { agentRuntimeId, key } = await registerAgent(emulator);
  emulator.settings.dateSkewSeconds = 1000;
  const late = await registerTask(emulator, agentRuntimeId, key);
  t.equal(late.status, 401);
  const serverNow = Date.parse(String(late.headers.date));
  t.equal((await registerTask(emulator, agentRuntimeId, key, serverNow)).status, 200);
});
