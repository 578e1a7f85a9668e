import t, { type Test } from 'tap';
import { parseAgentKey } from '../../src/agent-identity/keys.ts';
import { type AuthApi, registerTask } from '../../src/agent-identity/registration.ts';
import {
  isRetryableRegistration,
  RegistrationError,
} from '../../src/agent-identity/registration-call.ts';
import { startAuthApi } from '../helpers/auth-api.ts';
import { fixture } from '../helpers/fixture.ts';
import type { Reaction } from '../helpers/recording-server.ts';

const vector = fixture.derived[0];
const agent = {
  agentRuntimeId: vector.agent_runtime_id,
  key: parseAgentKey(vector.private_key_pkcs8_v2, 'key'),
};

const start = (t: Test, ...reactions: [Reaction, ...Reaction[]]) =>
  startAuthApi(t, vector.timestamp, ...reactions);
const register = (api: AuthApi) => registerTask(api, agent);
const done = { body: '{"task_id":"task-123"}' };
const KIB_65 = Buffer.alloc(64 * 1024 + 1, 'a');

const transient: [name: string, reaction: Reaction][] = [
  ['429', { status: 429 }],
  ['500', { status: 500 }],
  ['503', { status: 503 }],
  ['599', { status: 599 }],
  ['a closed connection', 'close'],
];

for (const [name, reaction] of transient) {
  t.test(`${name} is tried again`, async (t) => {
    const { api, server, delays } = await start(t, reaction, done);
    t.equal(await register(api), 'task-123');
    t.equal(server.requests.length, 2);
    t.strictSame(delays, [250]);
  });

  t.test(`${name} ends after three attempts and two growing delays`, async (t) => {
    const { api, server, delays } = await start(t, reaction);
    await t.rejects(register(api), {
      name: 'RegistrationError',
      status: typeof reaction === 'object' ? (reaction.status ?? 200) : null,
    });
    t.equal(server.requests.length, 3);
    t.strictSame(delays, [250, 500]);
  });
}

t.test('the third attempt may succeed', async (t) => {
  const { api, delays } = await start(t, { status: 429 }, 'close', done);
  t.equal(await register(api), 'task-123');
  t.strictSame(delays, [250, 500]);
});

for (const status of [300, 302, 307, 400, 401, 403, 404, 408, 422]) {
  t.test(`${status} is final`, async (t) => {
    const { api, server, delays } = await start(t, { status, body: 'no' }, done);
    await t.rejects(register(api), {
      name: 'RegistrationError',
      status,
      message: `task registration: AuthAPI answered ${status}: no`,
    });
    t.equal(server.requests.length, 1);
    t.strictSame(delays, []);
  });
}

t.test('a transient answer before a final one gives the final one', async (t) => {
  const { api, server } = await start(t, { status: 500 }, { status: 403, body: 'no' }, done);
  await t.rejects(register(api), { name: 'RegistrationError', status: 403 });
  t.equal(server.requests.length, 2);
});

t.test('a redirect is not followed', async (t) => {
  const target = await start(t, done);
  const headers = { location: `${target.server.url}/elsewhere` };
  const { api } = await start(t, { status: 307, headers });
  await t.rejects(register(api), { name: 'RegistrationError', status: 307 });
  t.strictSame(target.server.requests, []);
});

t.test('a server that never answers is given up after the task timeout', async (t) => {
  const { api, delays } = await start(t, 'silence');
  await t.rejects(register({ ...api, taskTimeoutMs: 20, agentTimeoutMs: 3_600_000 }), {
    name: 'RegistrationError',
    status: null,
    message: /^task registration: no response from AuthAPI: no complete response in time$/,
  });
  t.strictSame(delays, [250, 500]);
});

t.test('an answer that stops half-way is tried again after the timeout', async (t) => {
  const { api, delays } = await start(t, 'half an answer');
  await t.rejects(register({ ...api, taskTimeoutMs: 50 }), {
    name: 'RegistrationError',
    status: null,
  });
  t.strictSame(delays, [250, 500]);
});

t.test('an answer of 64 KiB is read', async (t) => {
  const body = `{"task_id":"task-123"}`.padEnd(64 * 1024);
  const { api } = await start(t, { body });
  t.equal(await register(api), 'task-123');
});

t.test('a larger answer is an error, and a task that was registered is not again', async (t) => {
  const { api, server } = await start(t, { body: `{"task_id":"task-123"}`.padEnd(65537) }, done);
  await t.rejects(register(api), {
    name: 'RegistrationError',
    status: 200,
    message: 'task registration: AuthAPI answered 200: the response is larger than 65536 bytes',
  });
  t.equal(server.requests.length, 1);
});

t.test('a larger answer is judged by its status', async (t) => {
  const { api, server } = await start(
    t,
    { status: 502, body: KIB_65 },
    { status: 403, body: KIB_65 },
  );
  await t.rejects(register(api), { name: 'RegistrationError', status: 403 });
  t.equal(server.requests.length, 2);
});

t.test('the message keeps the first 512 characters of an error body', async (t) => {
  const { api } = await start(t, { status: 400, body: `${'ä'.repeat(512)}b` });
  const error: unknown = await register(api).catch((error: unknown) => error);
  if (!(error instanceof RegistrationError)) throw new Error('no RegistrationError was thrown');
  // Not t.rejects, which is content with a part of the message.
  t.equal(error.message, `task registration: AuthAPI answered 400: ${'ä'.repeat(512)}`);
});

t.test('a connection error without a message is named by its code', async (t) => {
  const { api } = await start(t, done);
  const refused = Object.assign(new AggregateError([]), { code: 'ECONNREFUSED' });
  await t.rejects(register({ ...api, http: () => Promise.reject(refused) }), {
    name: 'RegistrationError',
    message: 'task registration: no response from AuthAPI: ECONNREFUSED',
    cause: refused,
  });
});

t.test('one predicate says what may be tried again', async (t) => {
  const retried = [null, 429, 500, 502, 503, 504, 599];
  const final = [200, 201, 301, 302, 400, 401, 403, 404, 428, 430, 499];
  t.strictSame([...retried, ...final].filter(isRetryableRegistration), retried);
});
