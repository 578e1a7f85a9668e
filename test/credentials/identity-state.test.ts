import t from 'tap';
import { fingerprint } from '../../src/agent-identity/keys.ts';
import { AGENT_REGISTRATION } from '../helpers/backend.ts';
import { PAUSE_MS, startBackendWithLogin } from '../helpers/backend-with-login.ts';
import { claimsOf, registeredKey } from '../helpers/verified-assertion.ts';

t.test('registering, unavailable, registering, ready', async (t) => {
  const { start, emulator, advance } = await startBackendWithLogin(t);
  emulator.addFault({ path: AGENT_REGISTRATION, status: 500, times: 3 });
  const provider = await start();
  const state = () => provider.status().state;
  t.equal(state(), 'registering', 'before the first try');
  t.notOk(provider.isReady());
  const first = provider.prepare();
  t.equal(state(), 'registering', 'while it runs');
  await first;
  t.equal(state(), 'unavailable');
  t.match(provider.status().lastError, /agent registration: AuthAPI answered 500/);
  advance(PAUSE_MS);
  t.equal(state(), 'unavailable', 'until the next try');
  const second = provider.prepare();
  t.equal(state(), 'registering');
  await second;
  t.equal(state(), 'ready');
  t.ok(provider.isReady());
});

t.test('a ready identity is described without its key', async (t) => {
  const { start, emulator, home } = await startBackendWithLogin(t);
  const provider = await start();
  const nothing = { agentRuntimeId: null, publicKey: null, taskId: null, taskRegisteredAt: null };
  t.match(provider.status(), { ...nothing, source: 'registered', lastError: null });
  const claims = claimsOf(await provider.headers());
  t.match(provider.status(), {
    agentRuntimeId: claims.agent_runtime_id,
    publicKey: fingerprint(registeredKey(emulator)),
    taskId: claims.task_id,
    taskRegisteredAt: '2026-11-20T21:30:36Z',
  });
  const { agent_private_key: key } = Object(home.read().agent_identity);
  t.notOk(JSON.stringify(provider.status()).includes(key));
});

t.test('a task that was taken over from the file has no time', async (t) => {
  const { start } = await startBackendWithLogin(t);
  await (await start()).prepare();
  const again = await start();
  t.ok(again.isReady());
  t.match(again.status(), { state: 'ready', taskRegisteredAt: null });
});
