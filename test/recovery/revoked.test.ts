import t from 'tap';
import {
  infer,
  RESPONSES,
  startAnotherSidecar,
  startSidecarWithClock,
  WITH_IDENTITY,
} from '../helpers/sidecar-with-clock.ts';

const DELETED = {
  error: {
    message: 'Agent runtime has been deleted.',
    code: 'biscuit_baker_service_agent_error_status',
  },
};

t.test('a deleted agent runtime ends the identity, without a loop', async (t) => {
  const scene = await startSidecarWithClock(t, { config: WITH_IDENTITY });
  await infer(scene);
  const agent = String(scene.home.field('agent_identity', 'agent_runtime_id'));
  scene.emulator.deleteAgent(agent);
  const since = scene.emulator.records.length;
  const first = await infer(scene);
  t.equal(first.status, 403, 'the answer passes on');
  t.match(JSON.parse(first.text), DELETED);
  for (const _ of [1, 2, 3]) {
    const answer = await infer(scene);
    t.equal(answer.status, 400);
    t.equal(answer.code, 'AUTH_IDENTITY_REVOKED');
  }
  scene.time.advance(3_600_000);
  t.equal((await infer(scene)).code, 'AUTH_IDENTITY_REVOKED');
  t.equal(scene.emulator.records.length - since, 1, 'one request reached the backend');
  const { status, agentIdentity } = await scene.status();
  t.equal(status, 'failed');
  t.equal(agentIdentity.state, 'revoked');
  t.match(agentIdentity.lastRejection, /^biscuit_baker_service_agent_error_status at /);
});

t.test('the revoked state does not fall back to the bearer', async (t) => {
  const config = { agentIdentity: { policy: 'chatgptAuth', onUnavailable: 'bearer' } };
  const scene = await startSidecarWithClock(t, { config });
  await infer(scene);
  scene.emulator.deleteAgent(String(scene.home.field('agent_identity', 'agent_runtime_id')));
  await infer(scene);
  t.equal((await infer(scene)).code, 'AUTH_IDENTITY_REVOKED');
});

t.test('the code alone, without the words, says nothing', async (t) => {
  const scene = await startSidecarWithClock(t, { config: WITH_IDENTITY });
  await infer(scene);
  const error = { ...DELETED.error, message: 'Agent runtime is busy.' };
  scene.emulator.addFault({ path: RESPONSES, status: 403, body: { error } });
  t.equal((await infer(scene)).status, 403);
  t.equal((await infer(scene)).status, 200);
  const { code, ...unnamed } = DELETED.error;
  t.ok(code);
  scene.emulator.addFault({ path: RESPONSES, status: 403, body: { error: unnamed } });
  t.equal((await infer(scene)).status, 403);
  t.equal((await infer(scene)).status, 200, 'neither do the words alone');
});

t.test('a deletion that the task registration reports', async (t) => {
  const scene = await startSidecarWithClock(t, { config: WITH_IDENTITY });
  await infer(scene);
  await scene.stop();
  const { agent_identity: record, ...rest } = scene.home.read();
  const { task_id: _, ...withoutTask } = record as Record<string, unknown>;
  scene.home.write({ ...rest, agent_identity: withoutTask });
  scene.emulator.deleteAgent(String(withoutTask.agent_runtime_id));
  const next = await startAnotherSidecar(t, scene, { home: scene.home, config: WITH_IDENTITY });
  t.equal((await infer(next)).code, 'AUTH_IDENTITY_REVOKED');
  const since = scene.emulator.records.length;
  t.equal((await infer(next)).code, 'AUTH_IDENTITY_REVOKED');
  t.equal(scene.emulator.records.length, since);
});
