import { once } from 'node:events';
import t, { type Test } from 'tap';
import { WebSocket } from 'ws';
import {
  infer,
  lastTask,
  RESPONSES,
  type SidecarWithClock,
  startSidecarWithClock,
} from '../helpers/sidecar-with-clock.ts';

const TASKS = '/task/register';
const PASS_ON = { agentIdentity: { policy: 'chatgptAuth', onTaskRejected: 'error' } };
const REASON =
  'the upstream rejected the run task, and agentIdentity.onTaskRejected is "error": no new one is registered';

async function isKept(t: Test, sidecar: SidecarWithClock, rejection: RegExp): Promise<void> {
  const { status, agentIdentity } = await sidecar.status();
  t.equal(status, 'degraded');
  t.equal(agentIdentity.state, 'rejected');
  t.match(agentIdentity.lastRejection, rejection);
  t.equal(agentIdentity.lastError, REASON);
  t.equal(sidecar.count(TASKS), 1, 'nothing was registered');
  const warnings = sidecar.log.filter((line) => line.includes('run task rejected and kept'));
  t.equal(warnings.length, 1, 'said once for each task');
}

function dial(t: Test, { url }: SidecarWithClock): WebSocket {
  const socket = new WebSocket(url.replace('http', 'ws') + RESPONSES, {
    // Compressed, the message would be as short as a control frame.
    perMessageDeflate: false,
  });
  t.teardown(() => socket.terminate());
  socket.on('error', () => undefined);
  return socket;
}

t.test('a rejected run task is passed on as the upstream sent it', async (t) => {
  const sidecar = await startSidecarWithClock(t, { config: PASS_ON });
  t.equal((await infer(sidecar)).status, 200);
  t.match((await sidecar.status()).agentIdentity, { state: 'ready', lastError: null });
  const headers = { 'x-openai-authorization-error': 'task_expired', 'x-request-id': 'req-1' };
  const body = { error: { code: 'task_expired', message: 'The task has expired.' } };
  sidecar.emulator.addFault({ path: RESPONSES, status: 401, times: 2, headers, body });
  const since = sidecar.emulator.records.length;
  for (const _ of [1, 2]) {
    const refused = await infer(sidecar);
    t.equal(refused.status, 401);
    t.equal(refused.text, JSON.stringify(body));
    t.equal(refused.code, null);
    for (const [name, value] of Object.entries(headers)) {
      t.equal(refused.headers.get(name), value);
    }
  }
  t.equal(sidecar.count(RESPONSES, since), 2, 'each was sent once');
  await isKept(t, sidecar, /^task_expired at 2026-11-20T/);
  t.equal((await infer(sidecar)).status, 200, 'the task goes on for as long as it is accepted');
});

t.test('the same for the task of a JWT identity', async (t) => {
  const sidecar = await startSidecarWithClock(t, {
    config: PASS_ON,
    authJson: () => null,
    env: (emulator) => ({ CODEX_ACCESS_TOKEN: emulator.issueIdentityToken() }),
  });
  t.equal((await infer(sidecar)).status, 200);
  sidecar.emulator.revokeTask(lastTask(sidecar.emulator));
  t.equal((await infer(sidecar)).status, 401);
  await isKept(t, sidecar, /^task_expired at /);
});

t.test('a refused upgrade is passed on, and dialled once', async (t) => {
  const sidecar = await startSidecarWithClock(t, { config: PASS_ON });
  await infer(sidecar);
  sidecar.emulator.revokeTask(lastTask(sidecar.emulator), 'not_found');
  const since = sidecar.emulator.records.length;
  const [, response] = await once(dial(t, sidecar), 'unexpected-response');
  t.equal(response.statusCode, 401);
  const [body] = await once(response, 'data');
  t.match(String(body), '"code":"task_not_found"');
  t.equal(sidecar.count(RESPONSES, since), 1);
  await isKept(t, sidecar, /^task_not_found at /);
});

t.test('an early close is passed on, and the next dial carries the same task', async (t) => {
  const sidecar = await startSidecarWithClock(t, { config: PASS_ON });
  await infer(sidecar);
  const task = lastTask(sidecar.emulator);
  sidecar.emulator.addFault({ path: RESPONSES, upgrade: true, action: 'close-after-first-frame' });
  const socket = dial(t, sidecar);
  await once(socket, 'open');
  socket.send(JSON.stringify({ type: 'response.create', input: [], padding: 'x'.repeat(200) }));
  const [code, reason] = await once(socket, 'close');
  t.equal(code, 1008);
  t.equal(String(reason), 'assertion refused');
  await isKept(t, sidecar, /^websocket_closed_early at /);
  await once(dial(t, sidecar), 'open');
  t.equal(lastTask(sidecar.emulator), task);
  t.equal(sidecar.count(TASKS), 1);
});

t.test('a task that another process has registered meanwhile is used', async (t) => {
  const sidecar = await startSidecarWithClock(t, { config: PASS_ON });
  await infer(sidecar);
  const stored = sidecar.home.read();
  const record = stored.agent_identity as { agent_runtime_id: string };
  sidecar.emulator.revokeTask(lastTask(sidecar.emulator));
  t.equal((await infer(sidecar)).status, 401);
  const registration = sidecar.emulator.records.find(({ path }) => path.endsWith(TASKS));
  const { url } = sidecar.emulator;
  const id = encodeURIComponent(record.agent_runtime_id);
  const response = await fetch(`${url}/api/accounts/v1/agent/${id}${TASKS}`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify(registration?.body),
  });
  const { task_id } = (await response.json()) as { task_id: string };
  sidecar.home.write({ ...stored, agent_identity: { ...record, task_id } });
  await sidecar.sidecar.reload();
  t.equal((await infer(sidecar)).status, 200);
  const { status, agentIdentity } = await sidecar.status();
  t.equal(status, 'ready');
  t.equal(agentIdentity.state, 'ready');
});
