import t from 'tap';
import { AGENT_REGISTRATION } from '../helpers/backend.ts';
import { PAUSE_MS, startBackendWithLogin } from '../helpers/backend-with-login.ts';
import { failureOf } from '../helpers/failure.ts';

const DOWN = { path: AGENT_REGISTRATION, status: 500, times: 3 };

t.test('a failure is remembered for the pause, then tried again', async (t) => {
  const { start, emulator, advance, agentRegistrations } = await startBackendWithLogin(t);
  emulator.addFault(DOWN);
  const provider = await start();
  const first = await failureOf(() => provider.headers());
  t.equal(first.code, 'AUTH_IDENTITY_UNAVAILABLE');
  t.equal(first.retryAfterSeconds, PAUSE_MS / 1000);
  t.equal(agentRegistrations(), 3, 'the attempts of one registration');

  advance(PAUSE_MS - 1500);
  const second = await failureOf(() => provider.headers());
  t.equal(second.message, first.message);
  t.equal(second.headers['retry-after'], '2');
  await provider.prepare();
  advance(1499);
  await failureOf(() => provider.headers());
  t.equal(agentRegistrations(), 3, 'no network within the pause');

  advance(1);
  t.equal((await provider.headers()).kind, 'assertion');
  t.equal(agentRegistrations(), 4);
  t.equal(provider.status().lastError, null);
});

t.test('everybody who waits is told of the failure once it is known', async (t) => {
  const { start, emulator, agentRegistrations } = await startBackendWithLogin(t);
  emulator.addFault(DOWN);
  const provider = await start();
  const waiting = Array.from({ length: 5 }, () => failureOf(() => provider.headers()));
  for (const error of await Promise.all(waiting)) t.equal(error.retryAfterSeconds, 60);
  t.equal(agentRegistrations(), 3);
});

t.test('the pause is counted anew after each failure', async (t) => {
  const { start, emulator, advance, agentRegistrations } = await startBackendWithLogin(t);
  emulator.addFault({ ...DOWN, times: 6 });
  const provider = await start();
  await provider.prepare();
  advance(PAUSE_MS);
  await provider.prepare();
  advance(PAUSE_MS - 1);
  await provider.prepare();
  t.equal(agentRegistrations(), 6);
});
