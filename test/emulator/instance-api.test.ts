import { randomUUID } from 'node:crypto';
import t, { type Test } from 'tap';
import { generateAgentKey } from '../../src/agent-identity/keys.ts';
import type { Emulator } from '../../src/emulator/index.ts';
import { call, start } from './client.ts';

function order(credential: string, change: object = {}) {
  return {
    actor_auth: { type: 'oauth', credential },
    agent_host_auth: { type: 'installation_id', installation_id: randomUUID() },
    public_key: generateAgentKey().publicKeySsh,
    metadata: { harness: 'codex', harness_version: '0.171.0', role: 'orchestrator' },
    ...change,
  };
}

const register = (emulator: Emulator, body: unknown, headers: Record<string, string> = {}) =>
  call(`${emulator.url}/agent/register`, {
    body,
    headers: { 'idempotency-key': randomUUID(), ...headers },
  });

async function setUp(t: Test) {
  const emulator = await start(t);
  const login = emulator.issueLogin({ accountId: 'account-1', userId: 'user-1' });
  return { emulator, login, body: order(login.accessToken) };
}

t.test('registers an instance for a login and for a personal access token', async (t) => {
  const { emulator, body } = await setUp(t);
  const registered = await register(emulator, body);
  t.equal(registered.status, 200);
  t.match(registered.body, {
    runtime_agent_instance_id: String,
    agent_host_id: String,
    actor: { kind: 'chatgpt', user_id: 'user-1', account_id: 'account-1' },
  });
  const credential = emulator.issuePersonalAccessToken();
  const actor_auth = { type: 'personal_access_token', credential };
  t.equal((await register(emulator, order('', { actor_auth }))).status, 200);
  t.equal(emulator.counts().instances, 2);
});

t.test(
  'one idempotency key registers one instance; another request with it conflicts',
  async (t) => {
    const { emulator, login, body } = await setUp(t);
    const headers = { 'idempotency-key': randomUUID() };
    const first = await register(emulator, body, headers);
    t.strictSame((await register(emulator, body, headers)).body, first.body);
    t.equal(emulator.counts().instances, 1);
    const other = await register(emulator, order(login.accessToken), headers);
    t.equal(other.status, 409);
    t.match(other.text, 'runtime_registration_conflict');
    t.equal((await register(emulator, body)).status, 409, 'a public key is good for one instance');
  },
);

t.test('what is refused', async (t) => {
  const { emulator, login, body } = await setUp(t);
  const refused = async (
    name: string,
    status: number,
    problem: RegExp,
    wrong: unknown,
    headers = {},
  ) => {
    const { status: given, text } = await register(emulator, wrong, headers);
    t.equal(given, status, name);
    t.match(text, problem, name);
  };
  const actor = (type: string, credential: string) => ({
    ...body,
    actor_auth: { type, credential },
  });
  await refused('no UUID', 400, /idempotency_key_invalid/, body, { 'idempotency-key': 'x' });
  const authorization = `Bearer ${login.accessToken}`;
  await refused('a bearer', 400, /authorization must be absent/, body, { authorization });
  await refused('a foreign token', 401, /runtime_actor_invalid/, actor('oauth', 'x'));
  const wrongType = actor('personal_access_token', login.accessToken);
  await refused('a token of another type', 401, /runtime_actor_invalid/, wrongType);
  await refused('no key', 400, /runtime_input_invalid/, { ...body, public_key: 'ssh-rsa AAAA' });
  await refused('a field more', 400, /extra is not a field/, { ...body, extra: 1 });
  await refused('another role', 400, /role/, {
    ...body,
    metadata: { harness: 'codex', harness_version: '1', role: 'x' },
  });
  emulator.expireAccessTokens();
  await refused('a token that has ended', 401, /runtime_actor_invalid/, body);
  t.equal(emulator.counts().instances, 0);
});
