import t from 'tap';
import {
  infer,
  RESPONSES,
  type SidecarWithClock,
  startSidecarWithClock,
  TOKEN,
  times,
  withInstance,
} from '../helpers/sidecar-with-clock.ts';

const REGISTER = '/agent/register';

/** The runtime instance of the last inference request. */
function lastInstance({ emulator }: SidecarWithClock): string {
  const id = emulator.records.findLast(({ path }) => path === RESPONSES)?.auth.runtimeInstanceId;
  if (!id) throw new Error('no request carried a runtime instance');
  return id;
}

for (const headers of ['dual', 'assertionOnly'] as const) {
  t.test(
    `${headers}: 50 simultaneous 401s: one refresh, one registration, one more try`,
    async (t) => {
      const scene = await startSidecarWithClock(t, { config: withInstance(headers) });
      scene.emulator.settings.bearerOnAssertionRoutes = 'refuse';
      t.equal((await infer(scene)).status, 200);
      const gone = lastInstance(scene);
      scene.emulator.endInstance(gone);
      const since = scene.emulator.records.length;
      const statuses = (await times(50, () => infer(scene))).map(({ status }) => status);
      t.strictSame([...new Set(statuses)], [200]);
      t.equal(scene.count(TOKEN, since), 1, 'new tokens');
      t.equal(scene.count(REGISTER, since), 1, 'a new instance');
      const order = scene.emulator.records.slice(since).map(({ path }) => path);
      t.ok(order.indexOf(TOKEN) < order.indexOf(REGISTER), 'in this order');
      t.not(lastInstance(scene), gone);
      const refusals = scene.log.filter((line) => line.includes('refused the credential'));
      t.equal(refusals.length, 1, 'the log says it once');
      const { agentIdentity } = await scene.status();
      t.match(agentIdentity.lastRejection, /^unauthorized at /);
      t.equal(agentIdentity.runtimeInstanceId, lastInstance(scene));
    },
  );

  t.test(`${headers}: runtime_instance_revoked is final`, async (t) => {
    const scene = await startSidecarWithClock(t, { config: withInstance(headers) });
    t.equal((await infer(scene)).status, 200);
    scene.emulator.endInstance(lastInstance(scene), 'revoked');
    const refused = await infer(scene);
    t.equal(refused.status, 401);
    t.match(refused.text, /runtime_instance_revoked/, 'as the upstream sent it');
    const next = await infer(scene);
    t.equal(next.code, 'AUTH_IDENTITY_REVOKED');
    t.match(next.text, /runtime instance was revoked/);
    const status = await scene.status();
    t.match(status, { status: 'failed', agentIdentity: { state: 'revoked' } });
    scene.time.advance(3_600_000);
    await scene.sidecar.reload();
    t.equal((await infer(scene)).code, 'AUTH_IDENTITY_REVOKED', 'whatever time passes');
    t.equal(scene.count(REGISTER), 1);
    t.equal(scene.count(RESPONSES), 2);
  });
}

t.test('onTaskRejected: error keeps a rejected instance and says so', async (t) => {
  const config = withInstance('dual', { onTaskRejected: 'error' });
  const scene = await startSidecarWithClock(t, { config });
  await infer(scene);
  scene.emulator.endInstance(lastInstance(scene));
  t.equal((await infer(scene)).status, 401);
  t.match(await scene.status(), {
    status: 'degraded',
    agentIdentity: { state: 'rejected', lastError: /rejected the runtime instance/ },
  });
  t.equal(scene.count(REGISTER), 1);
  t.equal(scene.count(TOKEN), 0);
});
