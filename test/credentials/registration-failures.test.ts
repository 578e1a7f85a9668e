import t from 'tap';
import type { Fault } from '../../src/emulator/index.ts';
import { AGENT_REGISTRATION } from '../helpers/backend.ts';
import { PAUSE_MS, startBackendWithLogin } from '../helpers/backend-with-login.ts';
import { failureOf } from '../helpers/failure.ts';
import { claimsOf } from '../helpers/verified-assertion.ts';

const FAULTS: [name: string, fault: Omit<Fault, 'path'>, attempts: number, message: RegExp][] = [
  ['429', { status: 429, times: 3 }, 3, /AuthAPI answered 429/],
  ['500', { status: 500, times: 3 }, 3, /AuthAPI answered 500/],
  ['403', { status: 403, times: 3 }, 1, /AuthAPI answered 403/],
  ['text that is no JSON', { body: 'garbage' }, 1, /is not a JSON object/],
  ['JSON without an id', { body: { agent_runtime_id: ' ' } }, 1, /lacks agent_runtime_id/],
  ['bytes that are not HTTP', { action: 'garbage', times: 3 }, 3, /no response from AuthAPI/],
  ['nothing', { action: 'empty', times: 3 }, 3, /no response from AuthAPI/],
];

for (const [name, fault, attempts, message] of FAULTS) {
  t.test(`an agent registration that is answered with ${name} changes nothing`, async (t) => {
    const subject = await startBackendWithLogin(t);
    const before = subject.home.text();
    subject.emulator.addFault({ ...fault, path: AGENT_REGISTRATION });
    const error = await failureOf(async () => (await subject.start()).headers());
    t.equal(error.code, 'AUTH_IDENTITY_UNAVAILABLE');
    t.match(error.message, message);
    t.equal(subject.agentRegistrations(), attempts);
    t.equal(subject.taskRegistrations(), 0);
    t.equal(subject.home.text(), before);
  });
}

t.test('one bad answer is got over', async (t) => {
  for (const fault of [{ status: 429 }, { status: 503 }, { action: 'reset' }] as const) {
    const subject = await startBackendWithLogin(t);
    subject.emulator.addFault({ ...fault, path: '/api/accounts/*' });
    t.equal((await (await subject.start()).headers()).kind, 'assertion');
    t.equal(subject.agentRegistrations(), 2);
  }
});

t.test('an agent without a task stays, and the next try registers the task alone', async (t) => {
  const subject = await startBackendWithLogin(t);
  subject.emulator.addFault({ path: '/api/accounts/v1/agent/agent-rt*', status: 403 });
  const provider = await subject.start();
  const error = await failureOf(() => provider.headers());
  t.equal(error.code, 'AUTH_IDENTITY_UNAVAILABLE');
  t.match(error.message, /task registration: AuthAPI answered 403/);
  const { agent_runtime_id, task_id } = Object(subject.storedRecord());
  t.match(agent_runtime_id, /^agent-rt/);
  t.equal(task_id, undefined);

  const next = claimsOf(await (await subject.start()).headers());
  t.equal(next.agent_runtime_id, agent_runtime_id, 'the next start');
  subject.advance(PAUSE_MS);
  const later = claimsOf(await provider.headers());
  t.equal(later.task_id, next.task_id, 'the same program after the pause');
  t.equal(subject.agentRegistrations(), 1);
});

t.test('a login that names no user cannot register', async (t) => {
  const subject = await startBackendWithLogin(t);
  const { tokens } = subject.home.read();
  const access_token = `e30.${Buffer.from('{}').toString('base64url')}.x`;
  const nameless = { ...Object(tokens), access_token, id_token: access_token };
  subject.home.write({ tokens: nameless });
  const error = await failureOf(async () => (await subject.start()).headers());
  t.equal(error.code, 'AUTH_CREDENTIAL_INVALID');
  t.match(error.message, /name no ChatGPT user/);
  t.equal(subject.agentRegistrations(), 0);
});
