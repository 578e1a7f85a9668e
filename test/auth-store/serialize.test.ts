import t from 'tap';
import { type IdentityRecord, parseAuthDocument } from '../../src/auth-store/auth-document.ts';
import { Secret } from '../../src/base/secret.ts';

const parse = (document: object) => parseAuthDocument(JSON.stringify(document));
const stored = {
  agent_runtime_id: 'agent-1',
  agent_private_key: 'key',
  account_id: 'account-1',
  chatgpt_user_id: 'user-1',
  email: null,
  plan_type: 'pro',
  chatgpt_account_is_fedramp: false,
};
const record: IdentityRecord = {
  agentRuntimeId: 'agent-1',
  privateKey: new Secret('key'),
  accountId: 'account-1',
  userId: 'user-1',
  email: null,
  planType: 'pro',
  fedramp: false,
  taskId: 'task-1',
};

t.test('fields that are not known stay, in their order', async (t) => {
  const text =
    '{"later":{"a":[1,null,"ü"]},"auth_mode":"apikey","OPENAI_API_KEY":"sk","__proto__":1}';
  const written = parseAuthDocument(text).serialize({ OPENAI_API_KEY: 'sk-2', last_refresh: null });
  const expected =
    '{"later":{"a":[1,null,"ü"]},"auth_mode":"apikey","OPENAI_API_KEY":"sk-2","__proto__":1,"last_refresh":null}';
  t.equal(JSON.stringify(JSON.parse(written)), expected);
  t.ok(written.endsWith('}\n'));
});

t.test('undefined removes a field', async (t) => {
  const written = parse({ a: 1, tokens: null }).serialize({ a: undefined });
  t.strictSame(JSON.parse(written), { tokens: null });
});

t.test('a record is written under the names of Codex and read back the same', async (t) => {
  const change = parse({}).identityChange(record);
  t.strictSame(change, { agent_identity: { ...stored, task_id: 'task-1' } });
  t.strictSame(
    parse({}).identityChange({ ...record, taskId: null }),
    { agent_identity: stored },
    'no task id is no field',
  );
  const again = parse(change).identityRecord;
  t.equal(again?.privateKey.reveal(), 'key');
  t.strictSame({ ...again, privateKey: null }, { ...record, privateKey: null });
});

t.test('unknown fields of a record stay with its agent, and go with it', async (t) => {
  const document = parse({ agent_identity: { ...stored, later: 'kept' } });
  t.match(document.identityChange(record), {
    agent_identity: { later: 'kept', task_id: 'task-1' },
  });
  const { agent_identity: other } = document.identityChange({
    ...record,
    agentRuntimeId: 'agent-2',
  });
  t.notOk('later' in Object(other));
});
