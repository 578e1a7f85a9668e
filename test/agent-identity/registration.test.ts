import t, { type Test } from 'tap';
import { parseAgentKey, verifyMessage } from '../../src/agent-identity/keys.ts';
import { type AuthApi, registerTask } from '../../src/agent-identity/registration.ts';
import { sealTaskId } from '../../src/agent-identity/sealed-task-id.ts';
import { startAuthApi } from '../helpers/auth-api.ts';
import { fixture } from '../helpers/fixture.ts';
import type { Reaction } from '../helpers/recording-server.ts';

const vector = fixture.derived[0];
const key = parseAgentKey(vector.private_key_pkcs8_v2, 'key');
const agent = { agentRuntimeId: vector.agent_runtime_id, key };

const start = (t: Test, ...reactions: [Reaction, ...Reaction[]]) =>
  startAuthApi(t, vector.timestamp, ...reactions);
const register = (api: AuthApi) => registerTask(api, agent);
const json = (value: unknown) => ({ body: JSON.stringify(value) });
const sealed = fixture.sealed_task_id.encrypted_task_id;

t.test('the body is byte-exact and has two fields', async (t) => {
  const { api, server } = await start(t, json({ task_id: 'task-123' }));
  await register(api);
  const signature = vector.task_registration_signature;
  t.equal(
    server.requests[0]?.body,
    `{"timestamp":"${vector.timestamp}","signature":"${signature}"}`,
  );
});

for (const recorded of [
  fixture.recorded[0],
  { ...fixture.recorded[1], ...fixture.recorded[1].auth_json_agent_identity },
]) {
  t.test(`the body for ${recorded.agent_runtime_id} is the recorded one`, async (t) => {
    const { timestamp } = recorded.task_registration;
    const { api, server } = await startAuthApi(t, timestamp, json({ task_id: 'task-123' }));
    await registerTask(api, {
      agentRuntimeId: recorded.agent_runtime_id,
      key: parseAgentKey(recorded.agent_private_key, 'key'),
    });
    t.equal(server.requests[0]?.body, JSON.stringify(recorded.task_registration));
  });
}

t.test('the request carries no Authorization and no header beyond these', async (t) => {
  const { api, server } = await start(t, json({ task_id: 'task-123' }));
  await register(api);
  const [request] = server.requests;
  t.equal(request?.method, 'POST');
  t.equal(request?.path, '/api/accounts/v1/agent/agent-123/task/register');
  t.strictSame(request?.headers, {
    host: new URL(server.url).host,
    connection: 'keep-alive',
    accept: 'application/json',
    'accept-encoding': 'identity',
    'user-agent': 'codex-auth-sidecar/test',
    'content-type': 'application/json',
    'content-length': String(request?.body.length),
  });
});

t.test('the runtime id is one percent-encoded path segment, and signed as it is', async (t) => {
  const { api, server } = await start(t, json({ task_id: 'task-123' }));
  const agentRuntimeId = 'agent/../1?x=y#z %ü';
  await registerTask(api, { agentRuntimeId, key });
  const [request] = server.requests;
  const segment = 'agent%2F..%2F1%3Fx%3Dy%23z%20%25%C3%BC';
  t.equal(request?.path, `/api/accounts/v1/agent/${segment}/task/register`);
  const { timestamp, signature } = JSON.parse(request?.body ?? '') as Record<string, string>;
  const message = `${agentRuntimeId}:${timestamp}`;
  t.equal(verifyMessage(key.publicKeySsh, message, signature ?? ''), true);
});

t.test('every attempt has a fresh timestamp and its signature', async (t) => {
  const { api, server } = await start(t, 'close', { status: 500 }, json({ task_id: 'task-123' }));
  await register(api);
  const bodies = server.requests.map(({ body }) => JSON.parse(body) as Record<string, string>);
  t.strictSame(
    bodies.map(({ timestamp }) => timestamp),
    ['2026-05-13T12:00:00Z', '2026-05-13T12:00:01Z', '2026-05-13T12:00:02Z'],
  );
  for (const { timestamp, signature } of bodies) {
    const message = `${agent.agentRuntimeId}:${timestamp}`;
    t.equal(verifyMessage(key.publicKeySsh, message, signature ?? ''), true);
  }
});

const taskIds: [name: string, answer: object, taskId: string][] = [
  ['task_id', { task_id: 'task-1' }, 'task-1'],
  ['taskId', { taskId: 'task-2' }, 'task-2'],
  ['encrypted_task_id', { encrypted_task_id: sealed }, 'task-123'],
  ['encryptedTaskId', { encryptedTaskId: sealed }, 'task-123'],
  ['task_id before all others', { encrypted_task_id: sealed, taskId: '2', task_id: '1' }, '1'],
  [
    'encrypted_task_id behind a blank task_id',
    { task_id: ' ', encrypted_task_id: sealed },
    'task-123',
  ],
  [
    'encrypted_task_id behind a null taskId',
    { taskId: null, encrypted_task_id: sealed },
    'task-123',
  ],
  [
    'an opaque task_id, unchanged',
    { task_id: fixture.derived[1].task_id },
    'task_01J/opaque+id==:x y',
  ],
];

for (const [name, answer, taskId] of taskIds) {
  t.test(`the task id is read from ${name}`, async (t) => {
    const { api, server } = await start(t, json(answer));
    t.equal(await register(api), taskId);
    t.equal(server.requests.length, 1);
  });
}

t.test('the default timeout is 30 seconds', async (t) => {
  const timeouts: number[] = [];
  const { api } = await start(t, json({ task_id: 'task-123' }));
  await register({
    ...api,
    http: (request) => {
      timeouts.push(request.timeoutMs);
      return api.http(request);
    },
  });
  t.strictSame(timeouts, [30_000]);
});

const LACKS = 'lacks task_id and encrypted_task_id';
const NO_OBJECT = 'is not a JSON object';
const unusable: [body: string, problem: string][] = [
  ['{}', LACKS],
  ['{"task_id":""}', LACKS],
  ['{"task_id":"  "}', LACKS],
  ['{"task_id":7,"encrypted_task_id":null}', LACKS],
  ['', NO_OBJECT],
  ['<html>', NO_OBJECT],
  ['{"task_id":"task-1"', NO_OBJECT],
  ['null', NO_OBJECT],
  ['["task-1"]', NO_OBJECT],
  ['"task-1"', NO_OBJECT],
  [
    '{"encrypted_task_id":"bm90IGEgYm94"}',
    'cannot be used: the sealed task id does not open with the key of this agent',
  ],
];

for (const [body, problem] of unusable) {
  t.test(`the answer ${body || 'without a body'} is final`, async (t) => {
    const { api, server } = await start(t, { status: 201, body });
    await t.rejects(register(api), {
      name: 'RegistrationError',
      status: 201,
      message: `task registration: the response of AuthAPI ${problem}`,
    });
    t.equal(server.requests.length, 1);
  });
}

t.test('a sealed task id that is blank is refused', async (t) => {
  const blank = await sealTaskId(vector.public_key_ssh, ' ');
  const { api } = await start(t, json({ encrypted_task_id: blank }));
  await t.rejects(register(api), {
    name: 'RegistrationError',
    message: 'task registration: the response of AuthAPI holds a blank task id',
  });
});

for (const id of ['x'.repeat(5000), '\ud800']) {
  t.test(
    `a foreign task id is checked where it enters: ${JSON.stringify(id).slice(0, 20)}`,
    async (t) => {
      const { api } = await start(t, json({ task_id: id }));
      await t.rejects(register(api), { message: /holds a task id that no assertion can carry/ });
    },
  );
}
