import { once } from 'node:events';
import t from 'tap';
import { WebSocket } from 'ws';
import {
  getModels,
  infer,
  MODELS,
  RESPONSES,
  type SidecarWithClock,
  startSidecarWithClock,
  TOKEN,
  times,
  withInstance,
} from '../helpers/sidecar-with-clock.ts';

const REGISTER = '/agent/register';
const inferences = ({ emulator }: SidecarWithClock, since = 0) =>
  emulator.records.slice(since).filter(({ path }) => path === RESPONSES);

/** The runtime instance of the last inference request. */
function lastInstance(scene: SidecarWithClock): string {
  const id = inferences(scene).at(-1)?.auth.runtimeInstanceId;
  if (!id) throw new Error('no request carried a runtime instance');
  return id;
}

for (const headers of ['dual', 'assertionOnly'] as const) {
  t.test(`${headers}: one registration, a fresh assertion for each request`, async (t) => {
    const scene = await startSidecarWithClock(t, { config: withInstance(headers) });
    scene.emulator.settings.bearerOnAssertionRoutes = 'refuse';
    const statuses = (await times(20, () => infer(scene))).map(({ status }) => status);
    t.strictSame(
      [...new Set(statuses)],
      [200],
      'the clock stands still, and no assertion is a replay',
    );
    t.equal(scene.count(REGISTER), 1);
    t.equal(scene.count('/task/register'), 0, 'there is no run task');
    const kind = headers === 'dual' ? 'dual' : 'assertion';
    for (const { auth } of inferences(scene)) t.match(auth, { kind, verified: true });
    t.equal((await getModels(scene)).status, 200);
    const models = scene.emulator.records.find(({ path }) => path === MODELS);
    t.match(
      models?.auth,
      { kind: 'bearer', verified: true },
      'a bearer route carries a bearer alone',
    );
    t.strictSame(scene.home.read().agent_identity, undefined, 'nothing is stored');
  });

  t.test(`${headers}: a fresh assertion for each dial`, async (t) => {
    const scene = await startSidecarWithClock(t, { config: withInstance(headers) });
    scene.emulator.settings.bearerOnAssertionRoutes = 'refuse';
    for (const _ of [1, 2]) {
      const socket = new WebSocket(scene.url.replace('http', 'ws') + RESPONSES);
      t.teardown(() => socket.terminate());
      await once(socket, 'open');
    }
    const dials = inferences(scene);
    t.strictSame(
      dials.map(({ transport, status }) => [transport, status]),
      [
        ['websocket', 101],
        ['websocket', 101],
      ],
    );
    t.equal(scene.count(REGISTER), 1);
  });
}

t.test('an access token that was revoked early: new tokens, then the registration', async (t) => {
  const scene = await startSidecarWithClock(t, { config: withInstance('assertionOnly') });
  scene.emulator.expireAccessTokens();
  t.equal((await infer(scene)).status, 200);
  t.equal(scene.count(REGISTER), 2);
  t.equal(scene.count(TOKEN), 1);
});

t.test('dual: a token that has expired is refreshed, and the instance stays', async (t) => {
  const emulator = { accessTokenLifetimeSeconds: 3600 };
  const scene = await startSidecarWithClock(t, { config: withInstance('dual'), emulator });
  t.equal((await infer(scene)).status, 200);
  scene.time.advance(3_700_000);
  t.equal((await infer(scene)).status, 200);
  t.equal(scene.count(TOKEN), 1);
  t.equal(scene.count(REGISTER), 1);
});

t.test('tokens that another process has refreshed: the instance stays', async (t) => {
  const scene = await startSidecarWithClock(t, { config: withInstance('dual') });
  t.equal((await infer(scene)).status, 200);
  const { account_id: accountId } = Object(scene.home.read().tokens);
  const { userId } = { userId: userOf(scene) };
  scene.home.write(scene.emulator.issueLogin({ accountId, userId }).authJson);
  scene.home.noteSecrets();
  await scene.sidecar.reload();
  t.equal((await infer(scene)).status, 200);
  t.equal(scene.count(REGISTER), 1);
  const [before, after] = inferences(scene).map(({ headers }) => headers.authorization);
  t.not(after, before, 'with the new bearer');
  scene.home.write(scene.emulator.issueLogin().authJson);
  scene.home.noteSecrets();
  await scene.sidecar.reload();
  t.equal((await infer(scene)).status, 200);
  t.equal(scene.count(REGISTER), 2, 'another account has an instance of its own');
});

/** The user of the registration that the backend has seen. */
function userOf({ emulator }: SidecarWithClock): string {
  const { actor_auth } = Object(emulator.records.find(({ path }) => path === REGISTER)?.body);
  const claims = Buffer.from(String(actor_auth.credential).split('.')[1] ?? '', 'base64url');
  return JSON.parse(claims.toString())['https://api.openai.com/auth'].chatgpt_user_id;
}

t.test('a personal access token registers an instance too', async (t) => {
  const scene = await startSidecarWithClock(t, {
    config: withInstance('assertionOnly'),
    authJson: () => null,
    env: (emulator) => ({ CODEX_ACCESS_TOKEN: emulator.issuePersonalAccessToken() }),
  });
  scene.emulator.settings.bearerOnAssertionRoutes = 'refuse';
  t.equal((await infer(scene)).status, 200);
  t.match(
    scene.emulator.records.find(({ path }) => path === REGISTER),
    {
      status: 200,
      body: { actor_auth: { type: 'personal_access_token' } },
    },
  );
});

t.test('an Agent Identity JWT keeps its run task', async (t) => {
  const scene = await startSidecarWithClock(t, {
    config: withInstance('assertionOnly'),
    authJson: () => null,
    env: (emulator) => ({ CODEX_ACCESS_TOKEN: emulator.issueIdentityToken() }),
  });
  t.equal((await infer(scene)).status, 200);
  t.match((await scene.status()).agentIdentity, { form: 'runTask', runtimeInstanceId: null });
  t.equal(scene.count(REGISTER), 0);
});

t.test('the status shows the instance, and no run task', async (t) => {
  const scene = await startSidecarWithClock(t, { config: withInstance('dual') });
  await infer(scene);
  const { agentIdentity } = await scene.status();
  t.match(agentIdentity, {
    policy: 'chatgptAuth',
    form: 'runtimeInstance',
    headers: 'dual',
    state: 'ready',
    source: 'registered',
    agentRuntimeId: null,
    taskId: null,
    taskRegisteredAt: null,
    runtimeInstanceId: lastInstance(scene),
    runtimeInstanceRegisteredAt: '2026-11-20T21:30:36Z',
    publicKey: /^SHA256:/,
  });
});
