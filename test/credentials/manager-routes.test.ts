import t from 'tap';
import { failureOf } from '../helpers/failure.ts';
import { type ManagerOptions, startManagerWithBackend } from '../helpers/manager.ts';

const login: NonNullable<ManagerOptions['authJson']> = ({ emulator }) =>
  emulator.issueLogin().authJson;

t.test('a route without credential needs none, and loads none', async (t) => {
  const { manager } = await startManagerWithBackend(t);
  t.strictSame(await manager.authorize('none', false), {
    upstream: 'chatgpt',
    headers: null,
    provider: null,
    degraded: false,
  });
  t.equal(manager.snapshot().state, 'starting');
});

t.test('a route without credential gets none, also when there is one', async (t) => {
  const { manager } = await startManagerWithBackend(t, { authJson: login });
  await manager.prepare();
  t.strictSame(await manager.authorize('none', false), {
    upstream: 'chatgpt',
    headers: null,
    provider: null,
    degraded: false,
  });
});

t.test('a denied route is denied with and without a credential', async (t) => {
  const { manager, home, emulator } = await startManagerWithBackend(t);
  const denied = async () => (await failureOf(() => manager.authorize('deny', true))).code;
  t.equal(await denied(), 'AUTH_ROUTE_DENIED');
  home.write(emulator.issueLogin().authJson);
  await manager.prepare();
  t.equal(await denied(), 'AUTH_ROUTE_DENIED');
});

t.test('a login under jwtOnly has no identity', async (t) => {
  const { manager, agentRegistrations } = await startManagerWithBackend(t, { authJson: login });
  t.equal((await manager.authorize('assertion', true)).headers?.kind, 'bearer');
  t.equal(agentRegistrations(), 0);
  t.equal(manager.snapshot().identity.state, 'off');
});

t.test('a login under chatgptAuth sends assertion and bearer, each to its routes', async (t) => {
  const { manager, agentRegistrations } = await startManagerWithBackend(t, {
    authJson: login,
    agentIdentity: { policy: 'chatgptAuth' },
  });
  t.equal((await manager.authorize('bearer', true)).headers?.kind, 'bearer');
  t.equal(agentRegistrations(), 0, 'a bearer route needs no identity');
  t.equal((await manager.authorize('assertion', true)).headers?.kind, 'assertion');
  t.match(manager.snapshot(), { state: 'ready', identity: { state: 'ready' } });
});

t.test('an identity alone has no bearer', async (t) => {
  const { manager, home } = await startManagerWithBackend(t, {
    authJson: ({ emulator }) => ({ agent_identity: emulator.issueIdentityToken() }),
  });
  const before = home.text();
  t.equal((await manager.authorize('assertion', true)).headers?.kind, 'assertion');
  const error = await failureOf(() => manager.authorize('bearer', true));
  t.equal(error.code, 'AUTH_NO_BEARER');
  t.match(manager.snapshot(), { state: 'ready', mode: 'agentIdentity', bearer: { state: 'none' } });
  t.equal(home.text(), before, 'its run task is not stored');
});

t.test('an API key goes to the OpenAI API, on model routes alone', async (t) => {
  const { manager } = await startManagerWithBackend(t, { apiKey: 'sk' });
  t.equal((await manager.authorize('assertion', true)).upstream, 'openai');
  const error = await failureOf(() => manager.authorize('bearer', false));
  t.equal(error.code, 'AUTH_ROUTE_DENIED');
});
