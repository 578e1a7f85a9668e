import t from 'tap';
import { startBackendWithLogin } from '../helpers/backend-with-login.ts';
import { claimsOf } from '../helpers/verified-assertion.ts';

t.test('headers are the same within a whole second and new in the next', async (t) => {
  const { start, advance } = await startBackendWithLogin(t);
  const provider = await start();
  const first = await provider.headers();
  advance(749);
  t.equal(provider.headers(), first, '21:30:36.999');
  advance(1);
  const second = await provider.headers();
  t.not(second, first, '21:30:37.000');
  t.equal(claimsOf(first).timestamp, '2026-11-20T21:30:36Z');
  t.equal(claimsOf(second).timestamp, '2026-11-20T21:30:37Z');
  advance(-1);
  t.not(await provider.headers(), second, 'also when the clock is set back');
});

t.test('once there is an identity, headers come without a promise', async (t) => {
  const { start } = await startBackendWithLogin(t);
  const provider = await start();
  t.ok(provider.headers() instanceof Promise);
  await provider.prepare();
  t.notOk(provider.headers() instanceof Promise);
});

t.test('headers name account and FedRAMP and print nothing', async (t) => {
  const { start, emulator, home } = await startBackendWithLogin(t);
  home.write(emulator.issueLogin({ accountId: 'account-2', fedramp: true }).authJson);
  const headers = await (await start()).headers();
  t.match(headers, { kind: 'assertion', accountId: 'account-2', fedramp: true });
  t.notMatch(JSON.stringify(headers), 'AgentAssertion');
});
