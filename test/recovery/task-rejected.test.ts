import t from 'tap';
import {
  type Answer,
  infer,
  lastTask,
  RESPONSES,
  startSidecarWithClock,
  times,
  WITH_IDENTITY,
} from '../helpers/sidecar-with-clock.ts';

const TASKS = '/task/register';
const statuses = (answers: Answer[]) => [...new Set(answers.map(({ status }) => status))];

t.test('100 simultaneous 401s lead to one task registration and 100 replays', async (t) => {
  const scene = await startSidecarWithClock(t, { config: WITH_IDENTITY });
  t.equal((await infer(scene)).status, 200);
  const rejected = lastTask(scene.emulator);
  scene.emulator.revokeTask(rejected);
  const since = scene.emulator.records.length;
  t.strictSame(statuses(await times(100, () => infer(scene))), [200]);
  t.equal(scene.count(TASKS, since), 1);
  const seen = scene.emulator.records.slice(since).filter(({ path }) => path === RESPONSES);
  t.equal(seen.filter(({ status }) => status === 200).length, 100);
  const task = lastTask(scene.emulator);
  t.not(task, rejected);
  t.equal(scene.home.field('agent_identity', 'task_id'), task, 'the new task is in the file');
  t.equal(scene.count('/agent/register'), 1, 'the agent stays');
  t.match((await scene.status()).agentIdentity.lastRejection, /^task_expired at 2026-11-20T/);
});

t.test('100 simultaneous 401s of a JWT identity: the new task stays in memory', async (t) => {
  const scene = await startSidecarWithClock(t, {
    authJson: () => null,
    env: (emulator) => ({ CODEX_ACCESS_TOKEN: emulator.issueIdentityToken() }),
  });
  t.equal((await infer(scene)).status, 200);
  scene.emulator.revokeTask(lastTask(scene.emulator), 'not_found');
  const since = scene.emulator.records.length;
  t.strictSame(statuses(await times(100, () => infer(scene))), [200]);
  t.equal(scene.count(TASKS, since), 1);
  t.throws(() => scene.home.text(), { code: 'ENOENT' }, 'nothing was written');
});

t.test(
  'a late 401 for a task that was replaced meanwhile: a replay, no registration',
  async (t) => {
    const scene = await startSidecarWithClock(t, { config: WITH_IDENTITY });
    await infer(scene);
    scene.emulator.addFault({ path: RESPONSES, status: 401, delayMs: 400, body: {} });
    const since = scene.emulator.records.length;
    const late = infer(scene);
    await scene.emulator.waitFor(({ seq }) => seq === since + 1);
    scene.emulator.revokeTask(lastTask(scene.emulator));
    t.equal((await infer(scene)).status, 200);
    t.equal((await late).status, 200);
    t.equal(scene.count(TASKS, since), 1);
  },
);

const encoded = Buffer.from('{"error":{"code":"invalid_task_id"}}').toString('base64');
const WAYS: [
  name: string,
  code: string,
  fault: { headers?: Record<string, string>; body: unknown },
][] = [
  ['the body', 'task_not_found', { body: { error: { code: 'task_not_found', message: 'gone' } } }],
  ['x-error-json', 'invalid_task_id', { body: 'no', headers: { 'x-error-json': encoded } }],
  [
    'x-openai-authorization-error',
    'task_expired',
    { body: '', headers: { 'x-openai-authorization-error': 'task_expired' } },
  ],
  ['nothing', 'unauthorized', { body: { detail: 'Unauthorized' } }],
];

for (const [name, code, fault] of WAYS) {
  t.test(`a 401 whose cause is said by ${name}`, async (t) => {
    const scene = await startSidecarWithClock(t, { config: WITH_IDENTITY });
    await infer(scene);
    scene.emulator.addFault({ path: RESPONSES, status: 401, ...fault });
    t.equal((await infer(scene)).status, 200);
    t.equal(scene.count(TASKS), 2);
    t.match((await scene.status()).agentIdentity.lastRejection, new RegExp(`^${code} at `));
  });
}

t.test(
  'a second 401 passes through unchanged, and within the interval no task is registered',
  async (t) => {
    const scene = await startSidecarWithClock(t, { config: WITH_IDENTITY });
    await infer(scene);
    const headers = { 'x-error-json': encoded, 'x-request-id': 'req-of-the-refusal' };
    const body = { error: { code: 'invalid_task_id', message: 'still gone' } };
    scene.emulator.addFault({ path: RESPONSES, status: 401, times: 0, headers, body });
    const since = scene.emulator.records.length;
    const refused = await infer(scene);
    t.equal(refused.status, 401);
    t.equal(refused.text, JSON.stringify(body));
    t.equal(refused.headers.get('x-error-json'), encoded);
    t.equal(refused.headers.get('x-request-id'), 'req-of-the-refusal');
    t.equal(refused.code, null);
    t.equal(scene.count(RESPONSES, since), 2, 'sent twice');
    t.equal((await infer(scene)).status, 401);
    t.equal(scene.count(RESPONSES, since), 3, 'the next request is sent once');
    t.equal(scene.count(TASKS), 2);
    scene.time.advance(60_000);
    t.equal((await infer(scene)).status, 401);
    t.equal(scene.count(TASKS), 3, 'after the interval there is one more try');
  },
);

t.test('a task that cannot be replaced: the 401 passes on, the identity stays', async (t) => {
  const scene = await startSidecarWithClock(t, { config: WITH_IDENTITY });
  await infer(scene);
  scene.emulator.addFault({ path: RESPONSES, status: 401, body: { detail: 'Unauthorized' } });
  scene.emulator.addFault({ path: '/api/accounts/*', status: 503, times: 3 });
  const refused = await infer(scene);
  t.equal(refused.text, '{"detail":"Unauthorized"}');
  const status = await scene.status();
  t.equal(status.agentIdentity.state, 'ready');
  t.match(status.agentIdentity.lastError, /503.*next try 2026-11-20T21:31:36Z/);
  t.equal((await infer(scene)).status, 200, 'the old task goes on');
});

for (const fault of [
  { status: 503, body: { error: { code: 'biscuit_baker_service_me_circuit_open' } } },
  { status: 503, body: { error: { code: 'throttled' } } },
  { status: 403, body: '<html>', headers: { 'cf-mitigated': 'challenge' } },
  { status: 401, body: '<html>', headers: { 'cf-mitigated': 'challenge' } },
  { status: 403, body: { detail: 'Forbidden' } },
  { status: 429, body: { error: { code: 'usage_limit_reached' } } },
]) {
  t.test(`${fault.status} ${JSON.stringify(fault.body)} touches no credential`, async (t) => {
    const scene = await startSidecarWithClock(t, { config: WITH_IDENTITY });
    await infer(scene);
    scene.emulator.addFault({ path: RESPONSES, ...fault });
    t.equal((await infer(scene)).status, fault.status);
    t.equal(scene.count(TASKS), 1);
    t.equal((await scene.status()).agentIdentity.lastRejection, null);
    t.equal((await infer(scene)).status, 200);
  });
}
