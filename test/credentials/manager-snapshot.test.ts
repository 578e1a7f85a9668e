import t from 'tap';
import { startManagerWithBackend } from '../helpers/manager.ts';

t.test('starting, waiting, ready', async (t) => {
  const { manager } = await startManagerWithBackend(t, {
    authJson: ({ emulator }) => emulator.issueLogin({ planType: 'team' }).authJson,
    agentIdentity: { policy: 'chatgptAuth' },
  });
  const state = () => manager.snapshot().state;
  t.equal(state(), 'starting');
  await manager.authorize('bearer', true);
  t.equal(state(), 'waiting', 'the identity is not there yet');
  const preparing = manager.prepare();
  t.equal(state(), 'waiting');
  await preparing;
  t.equal(state(), 'ready');
  t.match(manager.snapshot().account, { planType: 'team', email: 'someone@example.com' });
});

t.test('an access token that has expired is a failure', async (t) => {
  const { manager, advance } = await startManagerWithBackend(t, {
    authJson: ({ emulator }) => emulator.issueLogin().authJson,
  });
  await manager.prepare();
  t.match(manager.snapshot(), { state: 'ready', bearer: { state: 'valid' } });
  advance(11 * 86_400_000);
  t.match(manager.snapshot(), { state: 'failed', bearer: { state: 'failed' } });
});

t.test('a snapshot holds no secret', async (t) => {
  const { manager, home, captured } = await startManagerWithBackend(t, {
    authJson: ({ emulator }) => emulator.issueLogin().authJson,
    agentIdentity: { policy: 'chatgptAuth' },
  });
  await manager.prepare();
  const { tokens, agent_identity: record } = home.read();
  const secrets = [...Object.values(Object(tokens)), Object(record).agent_private_key];
  const accountId = Object(tokens).account_id;
  const shown = JSON.stringify(manager.snapshot()) + captured.text();
  for (const secret of secrets) {
    if (secret !== accountId) t.notOk(shown.includes(String(secret)));
  }
});
