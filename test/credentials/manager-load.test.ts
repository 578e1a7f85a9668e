import t from 'tap';
import { SidecarError } from '../../src/base/errors.ts';
import { resolveConfig } from '../../src/config/resolve.ts';
import { failureOf } from '../helpers/failure.ts';
import { startManagerWithBackend } from '../helpers/manager.ts';

t.test('without a credential a request is told how to sign in', async (t) => {
  const { manager } = await startManagerWithBackend(t);
  t.equal(manager.snapshot().state, 'starting');
  for (const auth of ['bearer', 'assertion'] as const) {
    const error = await failureOf(() => manager.authorize(auth, true));
    t.equal(error.code, 'AUTH_NOT_CONFIGURED');
  }
  t.match(manager.snapshot(), {
    state: 'unauthenticated',
    mode: null,
    account: null,
    identity: { state: 'off' },
    bearer: { state: 'none' },
    error: { code: 'AUTH_NOT_CONFIGURED' },
  });
});

t.test('a file that appears is picked up by the next request', async (t) => {
  const { manager, home, emulator } = await startManagerWithBackend(t);
  await manager.prepare();
  const { authJson, accessToken, accountId } = emulator.issueLogin();
  home.write(authJson);
  const { upstream, headers } = await manager.authorize('bearer', false);
  t.equal(upstream, 'chatgpt');
  t.equal(headers?.authorization.reveal(), `Bearer ${accessToken}`);
  t.equal(headers?.accountId, accountId);
  t.match(manager.snapshot(), { state: 'ready', mode: 'chatgpt', error: null });
});

t.test('or by the next probe', async (t) => {
  const { manager, home, emulator } = await startManagerWithBackend(t);
  await manager.prepare();
  home.write(emulator.issueLogin().authJson);
  await manager.prepare();
  t.equal(manager.snapshot().state, 'ready');
});

t.test('many requests at once load the credential once', async (t) => {
  const { manager, captured } = await startManagerWithBackend(t, { apiKey: 'sk' });
  const requests = Array.from({ length: 20 }, () => manager.authorize('bearer', true));
  const sets = new Set((await Promise.all(requests)).map(({ headers }) => headers));
  t.equal(sets.size, 1);
  t.equal(captured.entries().filter(({ msg }) => msg === 'credential loaded').length, 1);
});

t.test('a file that does not parse is an error until it does, and is left alone', async (t) => {
  const broken = '{"tokens":{"access_token":"hush"';
  const { manager, home, emulator, captured } = await startManagerWithBackend(t, {
    authJson: () => broken,
    agentIdentity: { policy: 'chatgptAuth' },
  });
  await manager.prepare();
  await manager.prepare();
  const error = await failureOf(() => manager.authorize('assertion', true));
  t.equal(error.code, 'AUTH_CREDENTIAL_INVALID');
  t.match(manager.snapshot(), { state: 'failed', error: { code: 'AUTH_CREDENTIAL_INVALID' } });
  t.equal(home.text(), broken);
  t.equal(captured.warnings().length, 1, 'said once');
  t.notMatch(captured.text(), 'hush');
  home.write(emulator.issueLogin().authJson);
  t.equal((await manager.authorize('assertion', true)).headers?.kind, 'assertion');
});

t.test('the environment wins over the file', async (t) => {
  const { manager } = await startManagerWithBackend(t, {
    apiKey: 'sk-env',
    authJson: ({ emulator }) => emulator.issueLogin().authJson,
  });
  const { upstream, headers } = await manager.authorize('assertion', true);
  t.equal(upstream, 'openai');
  t.equal(headers?.authorization.reveal(), 'Bearer sk-env');
});

t.test('an error of another kind is told in words of our own', async (t) => {
  const { manager, home } = await startManagerWithBackend(t);
  home.store.load = async () => {
    throw new TypeError('hush');
  };
  const error = await failureOf(() => manager.authorize('bearer', true));
  t.equal(error.code, 'AUTH_CREDENTIAL_INVALID');
  t.equal(error.message, 'the credential cannot be read');
});

t.test('the JWKS can have another base than the backend', async (t) => {
  const { manager, emulator } = await startManagerWithBackend(t, {
    authJson: ({ emulator }) => ({ agent_identity: emulator.issueIdentityToken() }),
    upstream: ({ url }) => ({ jwksBaseUrl: `${url}/elsewhere` }),
  });
  await manager.prepare();
  t.equal(emulator.records[0]?.path, '/elsewhere/agent-identities/jwks');
});

t.test('settings that come with a credential that cannot be used change nothing', async (t) => {
  const { manager, home, emulator, reloadWith } = await startManagerWithBackend(t, {
    authJson: ({ emulator }) => emulator.issueLogin().authJson,
  });
  await manager.prepare();
  const reload = () => reloadWith({ policy: 'chatgptAuth' });
  home.write('{"tokens":');
  t.match(await failureOf(reload), { code: 'AUTH_CREDENTIAL_INVALID' });
  home.write(emulator.issueLogin().authJson);
  t.equal(await manager.reload(), null);
  t.equal(manager.snapshot().identity.state, 'off');
  await reload();
  t.equal(manager.snapshot().identity.state, 'registering', 'before the network is asked');
  await manager.prepare();
  t.equal(manager.snapshot().identity.state, 'ready');
});

t.test('reloads at once keep the settings of the one that brought some', async (t) => {
  const { manager, reloadWith } = await startManagerWithBackend(t, {
    authJson: ({ emulator }) => emulator.issueLogin().authJson,
  });
  await manager.prepare();
  await Promise.all([
    manager.reload(),
    manager.reload(),
    reloadWith({ policy: 'chatgptAuth' }),
    manager.reload(),
  ]);
  t.not(manager.snapshot().identity.state, 'off');
});

t.test('what an earlier read found does not replace what a later one found', async (t) => {
  const { manager, home, emulator } = await startManagerWithBackend(t, {
    authJson: ({ emulator }) => emulator.issueLogin().authJson,
  });
  const { agentIdentity } = resolveConfig();
  const earlier = await manager.read();
  const { authJson, accessToken } = emulator.issueLogin();
  home.write(authJson);
  t.equal(manager.use(await manager.read(), agentIdentity), true);
  t.equal(manager.use(earlier, agentIdentity), false);
  const { headers } = await manager.authorize('bearer', true);
  t.equal(headers?.authorization.reveal(), `Bearer ${accessToken}`);
});

t.test('nor does an earlier read that failed take the credential away', async (t) => {
  const { manager, home } = await startManagerWithBackend(t, {
    authJson: ({ emulator }) => emulator.issueLogin().authJson,
  });
  const { store } = home;
  const load = store.load.bind(store);
  let fail = () => {};
  store.load = () =>
    new Promise((_, reject) => {
      fail = () => reject(new SidecarError('AUTH_NOT_CONFIGURED', 'gone'));
    });
  const earlier = failureOf(() => manager.read());
  await new Promise(setImmediate);
  store.load = load;
  t.equal(await manager.reload(), null);
  fail();
  t.equal((await earlier).code, 'AUTH_NOT_CONFIGURED');
  t.match(manager.snapshot(), { state: 'ready', error: null });
});
