import t from 'tap';
import type { JsonObject } from '../../src/base/json.ts';
import { type BackendWithLogin, startBackendWithLogin } from '../helpers/backend-with-login.ts';
import { failureOf } from '../helpers/failure.ts';
import { claimsOf } from '../helpers/verified-assertion.ts';

/** A file that holds a record from an earlier start, with `change` on top. */
async function withRecord(
  t: Parameters<typeof startBackendWithLogin>[0],
  change: JsonObject,
): Promise<BackendWithLogin & { record: JsonObject }> {
  const subject = await startBackendWithLogin(t);
  await (await subject.start()).prepare();
  const record = { ...subject.storedRecord(), ...change };
  subject.home.write({ ...subject.home.read(), agent_identity: record });
  return { ...subject, record };
}

for (const [name, task_id] of [
  ['blank', ' '],
  ['absent', undefined],
  ['null', null],
] as const) {
  t.test(`a record whose task id is ${name} registers a task alone, and keeps it`, async (t) => {
    const subject = await withRecord(t, { task_id, later: 'kept' });
    const provider = await subject.start();
    t.notOk(provider.isReady());
    t.equal(provider.status().agentRuntimeId, subject.record.agent_runtime_id, 'known already');
    const claims = claimsOf(await provider.headers());
    t.equal(claims.agent_runtime_id, subject.record.agent_runtime_id);
    t.strictSame(subject.storedRecord(), { ...subject.record, task_id: claims.task_id });
    t.equal(subject.agentRegistrations(), 1, 'the one that made the record');
    t.equal(subject.taskRegistrations(), 2);
  });
}

const UNFIT: [name: string, change: JsonObject][] = [
  ['of another account', { account_id: 'account-2' }],
  ['of another user', { chatgpt_user_id: 'user-2' }],
  ['with a key that is none', { agent_private_key: 'aHVzaA==' }],
];

for (const [name, change] of UNFIT) {
  t.test(`a record ${name} is replaced`, async (t) => {
    const subject = await withRecord(t, { ...change, later: 'gone' });
    const provider = await subject.start();
    t.notOk(provider.isReady());
    const claims = claimsOf(await provider.headers());
    t.not(claims.agent_runtime_id, subject.record.agent_runtime_id);
    t.equal(subject.agentRegistrations(), 2);
    const stored = subject.storedRecord();
    t.match(stored, { agent_runtime_id: claims.agent_runtime_id, account_id: 'account-1' });
    t.match(stored, { chatgpt_user_id: 'user-1', task_id: claims.task_id });
    t.notOk('later' in Object(stored));
    t.notMatch(subject.captured.text(), 'aHVzaA==');
  });
}

t.test('a record alone is an identity, and can register a task', async (t) => {
  const subject = await withRecord(t, {});
  subject.home.write({ agent_identity: subject.record });
  t.ok((await subject.start()).isReady());
  subject.home.write({ agent_identity: { ...subject.record, task_id: '' } });
  const claims = claimsOf(await (await subject.start()).headers());
  t.strictSame(subject.home.read(), {
    agent_identity: { ...subject.record, task_id: claims.task_id },
  });
  t.equal(subject.agentRegistrations(), 1);
});

t.test('a record alone with a bad key is refused, for nothing can replace it', async (t) => {
  const subject = await withRecord(t, { agent_private_key: 'aHVzaA==' });
  subject.home.write({ agent_identity: subject.record });
  const error = await failureOf(() => subject.start());
  t.equal(error.code, 'AUTH_CREDENTIAL_INVALID');
  t.match(error.message, /^auth\.json agent_identity\.agent_private_key: /);
});

t.test('a record that another process stored meanwhile is taken over', async (t) => {
  const subject = await startBackendWithLogin(t);
  const waiting = await subject.start();
  const other = claimsOf(await (await subject.start()).headers());
  const claims = claimsOf(await waiting.headers());
  t.equal(claims.task_id, other.task_id);
  t.equal(claims.agent_runtime_id, other.agent_runtime_id);
  t.equal(subject.agentRegistrations(), 1);
});

t.test('a JWT in the place of the record is left alone', async (t) => {
  const subject = await startBackendWithLogin(t, { agent_identity: 'a.jwt.here' });
  const provider = await subject.start();
  t.equal((await provider.headers()).kind, 'assertion');
  t.equal(subject.home.read().agent_identity, 'a.jwt.here');
  t.match(subject.captured.warnings(), [/^the identity cannot be kept in/]);
});
