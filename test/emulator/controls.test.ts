import t from 'tap';
import type { Emulator } from '../../src/emulator/index.ts';
import { bearerHeaders, call, RESPONSES, registerAgent, start } from './client.ts';

function control(emulator: Emulator, method: string, path: string, body?: unknown) {
  return call(`${emulator.url}/__emulator/${path}`, { method, ...(body ? { body } : {}) });
}

t.test('records over HTTP, without the controls themselves', async (t) => {
  const emulator = await start(t);
  await call(`${emulator.url}/backend-api/me?x=1`, { headers: { 'X-Twice': 'a' } });
  const { body } = await control(emulator, 'GET', 'records');
  t.match(body, { records: [{ seq: 1, path: '/backend-api/me?x=1', status: 401 }] });
  await control(emulator, 'DELETE', 'records');
  t.same((await control(emulator, 'GET', 'records')).body, { records: [] });
  t.equal(emulator.records.length, 0);
});

t.test('issues credentials', async (t) => {
  const emulator = await start(t);
  const account = { accountId: 'acc', planType: 'team' };
  const login = await control(emulator, 'POST', 'login', { account });
  t.match(login.body, { accountId: 'acc', authJson: { auth_mode: 'chatgpt' } });
  t.match((await control(emulator, 'POST', 'login')).body, { accountId: String });
  t.match((await control(emulator, 'POST', 'api-key')).body, { api_key: /^sk-/ });
  t.match((await control(emulator, 'POST', 'personal-access-token')).body, { token: /^at-/ });
  const options = { accountId: 'acc', claims: { email: null } };
  const identity = await control(emulator, 'POST', 'identity-token', options);
  const payload = String(identity.body.token).split('.')[1] ?? '';
  const claims = JSON.parse(Buffer.from(payload, 'base64url').toString());
  t.match(claims, { account_id: 'acc' });
  t.notOk('email' in claims);
});

t.test('orders faults and clears them', async (t) => {
  const emulator = await start(t);
  const headers = bearerHeaders(emulator.issueLogin());
  const fault = { path: RESPONSES, status: 503, times: 0 };
  t.equal((await control(emulator, 'POST', 'faults', fault)).status, 200);
  t.equal((await call(emulator.url + RESPONSES, { headers, body: {} })).status, 503);
  await control(emulator, 'DELETE', 'faults');
  t.equal((await call(emulator.url + RESPONSES, { headers, body: {} })).status, 200);
});

t.test('revokes, deletes and expires', async (t) => {
  const emulator = await start(t);
  const agent = await registerAgent(emulator);
  const codeOf = async (headers: Record<string, string>) => {
    return (await call(emulator.url + RESPONSES, { headers, body: {} })).text;
  };
  const task = { task_id: agent.taskId, how: 'not_found' };
  t.equal((await control(emulator, 'POST', 'tasks/revoke', task)).status, 200);
  t.match(await codeOf(agent.headers()), /task_not_found/);
  const { agentRuntimeId } = agent;
  await control(emulator, 'POST', 'agents/delete', { agent_runtime_id: agentRuntimeId });
  t.match(await codeOf(agent.headers()), /Agent runtime has been deleted/);
  await control(emulator, 'POST', 'tokens/expire');
  t.match(await codeOf(bearerHeaders(agent.login)), /Unauthorized/);
});

t.test('changes settings', async (t) => {
  const emulator = await start(t);
  const headers = bearerHeaders(emulator.issueLogin());
  const change = { bearerOnAssertionRoutes: 'refuse' };
  const { body } = await control(emulator, 'PATCH', 'settings', change);
  t.same(body, {
    bearerOnAssertionRoutes: 'refuse',
    sealTaskIds: false,
    refreshResponseDelayMs: 0,
    revokeFamilyOnReuse: false,
    dateSkewSeconds: 0,
    accountHeader: 'required',
    maxTimestampSkewSeconds: 300,
    deviceLogin: true,
    deviceIntervalSeconds: 5,
    deviceCodeSeconds: 900,
    compression: null,
    workspaceBackendOrigin: 'https://chatgpt.com',
    tellLimits: false,
  });
  t.equal((await call(emulator.url + RESPONSES, { headers, body: {} })).status, 401);
});

t.test('wrong input is 400 and names the field', async (t) => {
  const emulator = await start(t);
  const wrong: [string, string, unknown, RegExp][] = [
    ['POST', 'faults', {}, /path is missing/],
    ['POST', 'faults', { path: '/x', times: 'two' }, /times must be integer/],
    ['POST', 'faults', { path: '/x', action: 'explode' }, /action must be equal to one of/],
    ['POST', 'faults', { path: '/x', colour: 1 }, /colour is not a field/],
    ['POST', 'login', { account: { plan: 'pro' } }, /account\.plan is not a field/],
    ['POST', 'identity-token', { kid: 5 }, /kid must be/],
    ['POST', 'tasks/revoke', {}, /task_id is missing/],
    ['POST', 'tasks/revoke', { task_id: 'x' }, /task_id names no task/],
    ['POST', 'agents/delete', { agent_runtime_id: 'x' }, /agent_runtime_id names no agent/],
    ['PATCH', 'settings', { sealTaskIds: 'yes' }, /sealTaskIds must be boolean/],
  ];
  for (const [method, path, body, problem] of wrong) {
    const reply = await control(emulator, method, path, body);
    t.equal(reply.status, 400, `${path} ${JSON.stringify(body)}`);
    t.match(reply.text, problem);
  }
});
