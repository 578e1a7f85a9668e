import t from 'tap';
import { AGENT_REGISTRATION } from '../helpers/backend.ts';
import { failureOf } from '../helpers/failure.ts';
import { type ManagerOptions, startManagerWithBackend } from '../helpers/manager.ts';

const DOWN = { path: AGENT_REGISTRATION, status: 500, times: 3 };
const login: NonNullable<ManagerOptions['authJson']> = ({ emulator }) =>
  emulator.issueLogin().authJson;

function withPolicy(onUnavailable: 'error' | 'bearer'): ManagerOptions {
  return { authJson: login, agentIdentity: { policy: 'chatgptAuth', onUnavailable } };
}

t.test('by default an identity that cannot be had is an error, never a bearer', async (t) => {
  const { manager, emulator } = await startManagerWithBackend(t, withPolicy('error'));
  emulator.addFault({ ...DOWN, times: 0 });
  for (let request = 0; request < 3; request++) {
    const error = await failureOf(() => manager.authorize('assertion', true));
    t.equal(error.code, 'AUTH_IDENTITY_UNAVAILABLE');
    t.equal(error.retryAfterSeconds, 60);
  }
  t.match(manager.snapshot(), { state: 'failed', identity: { state: 'unavailable' } });
  t.equal((await manager.authorize('bearer', true)).headers?.kind, 'bearer', 'other routes work');
  t.equal(manager.snapshot().state, 'failed');
});

t.test('onUnavailable bearer sends the bearer, visibly, with one warning each', async (t) => {
  const { manager, emulator, captured, advance } = await startManagerWithBackend(
    t,
    withPolicy('bearer'),
  );
  emulator.addFault(DOWN);
  for (let request = 0; request < 3; request++) {
    t.equal((await manager.authorize('assertion', true)).headers?.kind, 'bearer');
  }
  t.equal(manager.snapshot().state, 'degraded');
  t.strictSame(captured.warnings(), [
    'no identity could be had',
    'no identity: sending the bearer (onUnavailable: bearer)',
  ]);
  advance(60_000);
  t.equal((await manager.authorize('assertion', true)).headers?.kind, 'assertion');
  t.equal(manager.snapshot().state, 'ready');
});

t.test('the fallback is for outages, not for a credential that is wrong', async (t) => {
  const { manager, home } = await startManagerWithBackend(t, withPolicy('bearer'));
  await manager.authorize('bearer', true);
  home.write({ unrelated: 1 });
  const error = await failureOf(() => manager.authorize('assertion', true));
  t.equal(error.code, 'AUTH_CREDENTIAL_INVALID');
});

t.test('a wrong credential that was exchanged meanwhile is no fallback', async (t) => {
  const { manager, home } = await startManagerWithBackend(t, withPolicy('bearer'));
  await manager.authorize('bearer', true);
  home.write({ OPENAI_API_KEY: 'sk' });
  const { upstream, degraded } = await manager.authorize('assertion', true);
  t.strictSame({ upstream, degraded }, { upstream: 'openai', degraded: false });
});

t.test('an identity alone has nothing to fall back to', async (t) => {
  const { manager, emulator } = await startManagerWithBackend(t, {
    authJson: ({ emulator }) => ({ agent_identity: emulator.issueIdentityToken() }),
    agentIdentity: { onUnavailable: 'bearer' },
  });
  emulator.addFault({ path: '/api/accounts/*', status: 500, times: 3 });
  const error = await failureOf(() => manager.authorize('assertion', true));
  t.equal(error.code, 'AUTH_IDENTITY_UNAVAILABLE');
  t.equal(manager.snapshot().state, 'failed');
});

t.test('a bearer that has expired and cannot be renewed is no fallback', async (t) => {
  const subject = await startManagerWithBackend(t, withPolicy('bearer'));
  subject.emulator.addFault(DOWN);
  await subject.manager.prepare();
  subject.advance(11 * 86_400_000);
  subject.emulator.addFault({ ...DOWN, times: 0 });
  subject.emulator.addFault({ path: '/oauth/token', status: 503, times: 0 });
  const error = await failureOf(() => subject.manager.authorize('assertion', true));
  t.equal(error.code, 'AUTH_REFRESH_UNAVAILABLE');
});
