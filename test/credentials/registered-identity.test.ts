import { statSync } from 'node:fs';
import t from 'tap';
import { parseAgentKey } from '../../src/agent-identity/keys.ts';
import { startBackendWithLogin } from '../helpers/backend-with-login.ts';
import { claimsOf, isSignedBy, registeredKey } from '../helpers/verified-assertion.ts';

t.test('registers with the login and keeps the record beside it', async (t) => {
  const { start, emulator, home, storedRecord } = await startBackendWithLogin(t, { later: 'kept' });
  const before = home.read();
  const headers = await (await start()).headers();
  const { agent_runtime_id, task_id } = claimsOf(headers);
  const record = storedRecord();
  t.match(record, {
    agent_runtime_id,
    task_id,
    account_id: 'account-1',
    chatgpt_user_id: 'user-1',
    email: 'someone@example.com',
    plan_type: 'pro',
    chatgpt_account_is_fedramp: false,
  });
  const key = parseAgentKey(String(record?.agent_private_key), 'key');
  t.equal(key.publicKeySsh, registeredKey(emulator));
  t.ok(isSignedBy(headers, key.publicKeySsh));
  t.strictSame(home.read(), { ...before, agent_identity: record }, 'the rest is untouched');
  t.equal(statSync(home.path).mode & 0o777, 0o600);
});

t.test('the next start uses it without any network', async (t) => {
  const { start, emulator, home } = await startBackendWithLogin(t);
  const first = await (await start()).headers();
  const requests = emulator.records.length;
  const text = home.text();
  const again = await start();
  t.ok(again.isReady());
  t.equal((await again.headers()).authorization.reveal(), first.authorization.reveal());
  t.equal(emulator.records.length, requests);
  t.equal(home.text(), text);
});

t.test('opens sealed task ids', async (t) => {
  const { start, emulator, storedRecord } = await startBackendWithLogin(t);
  emulator.settings.sealTaskIds = true;
  const { task_id } = claimsOf(await (await start()).headers());
  t.match(task_id, /^task_1\/opaque\+/);
  t.equal(storedRecord()?.task_id, task_id);
});

t.test('nothing secret is logged', async (t) => {
  const { start, captured, home } = await startBackendWithLogin(t);
  await (await start()).headers();
  const { tokens, agent_identity: record } = home.read();
  const { access_token, id_token, refresh_token } = Object(tokens);
  const { agent_private_key } = Object(record);
  t.match(captured.text(), 'registered an agent identity');
  for (const secret of [access_token, id_token, refresh_token, agent_private_key]) {
    t.notOk(captured.text().includes(secret));
  }
});
