import t from 'tap';
import { startBackendWithJwt } from '../helpers/backend-with-jwt.ts';
import { failureOf } from '../helpers/failure.ts';
import { claimsOf } from '../helpers/verified-assertion.ts';

t.test('verifies once, registers a task, and knows who it is before', async (t) => {
  const { start, jwksRequests, taskRegistrations, agentRegistrations } =
    await startBackendWithJwt(t);
  const provider = start({ accountId: 'account-1', fedramp: true });
  const before = provider.status();
  t.match(before, { state: 'registering', source: 'jwt', taskId: null, publicKey: /^SHA256:/ });
  t.notOk(provider.isReady(), 'a JWT is nothing before it is verified');
  const headers = await provider.headers();
  t.match(headers, { kind: 'assertion', accountId: 'account-1', fedramp: true });
  t.equal(claimsOf(headers).agent_runtime_id, before.agentRuntimeId);
  t.match(provider.status(), { state: 'ready', taskRegisteredAt: '2026-11-20T21:30:36Z' });
  t.equal(jwksRequests(), 1);
  t.equal(taskRegistrations(), 1);
  t.equal(agentRegistrations(), 0);
});

t.test('twenty requests at once verify once and register one task', async (t) => {
  const { start, jwksRequests, taskRegistrations } = await startBackendWithJwt(t);
  const provider = start();
  const all = await Promise.all(Array.from({ length: 20 }, () => provider.headers()));
  t.equal(new Set(all).size, 1, 'one set of headers');
  t.equal(jwksRequests(), 1);
  t.equal(taskRegistrations(), 1);
});

t.test('opens sealed task ids', async (t) => {
  const { start, emulator } = await startBackendWithJwt(t);
  emulator.settings.sealTaskIds = true;
  t.match(claimsOf(await start().headers()).task_id, /^task_1\/opaque\+/);
});

t.test('a verified token is not verified again when the task registration failed', async (t) => {
  const { start, emulator, advance, jwksRequests } = await startBackendWithJwt(t);
  emulator.addFault({ path: '/api/accounts/*', status: 403 });
  const provider = start();
  const error = await failureOf(() => provider.headers());
  t.match(error.message, /task registration: AuthAPI answered 403/);
  advance(60_000);
  await provider.headers();
  t.equal(jwksRequests(), 1);
});
