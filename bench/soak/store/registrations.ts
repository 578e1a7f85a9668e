import { fork } from 'node:child_process';
import { once } from 'node:events';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { NO_CREDENTIAL } from '../../../src/auth-store/auth-document.ts';
import type { TestScope } from '../../../test/helpers/program.ts';
import { Fleet } from '../../../test/store/fleet.ts';
import type { RegistrarOptions, RegistrarOrder, RegistrarReply } from './registrar.ts';
import { ask, startSidecars } from './sidecars.ts';

const PROGRAM = fileURLToPath(new URL('./registrar.js', import.meta.url));
const PROCESSES = 3;
/** So that a round takes two seconds, and 12 have to pass before somebody gives up on the others. */
const HASTE = 5;
/** As in a sidecar, unless it is set otherwise. */
const INTERVAL_SECONDS = 60;

/** T10: first starts of three processes at once. */
export async function startFirst(t: TestScope, rounds: number) {
  const { fleet, all } = await startRegistrars(t);
  const wrong: string[] = [];
  for (let round = 1; round <= rounds; round++) {
    await fleet.store.overwrite({ ...NO_CREDENTIAL });
    await fleet.signIn();
    const tasks = await all({ do: 'start' });
    const { agents, tasks: registered } = fleet.emulator.counts();
    if (tasks.size === 1 && agents === round && registered === round) continue;
    wrong.push(`start ${round}: ${[...tasks]}, ${agents} agents, ${registered} tasks`);
  }
  const { agents, tasks } = fleet.emulator.counts();
  return { starts: rounds, agents, tasks, wrong };
}

/** T10: three processes are refused the one task at the same time. */
export async function refuseTask(t: TestScope, rounds: number) {
  const { fleet, all } = await startRegistrars(t);
  const wrong: string[] = [];
  let [taskId = ''] = await all({ do: 'start' });
  for (let round = 1; round <= rounds; round++) {
    const tasks = await all({ do: 'renew', taskId });
    const { agents, tasks: registered } = fleet.emulator.counts();
    const right = tasks.size === 1 && !tasks.has(taskId) && agents === 1;
    [taskId = ''] = tasks;
    if (right && registered === 1 + round) continue;
    wrong.push(`refusal ${round}: ${[...tasks]}, ${agents} agents, ${registered} tasks`);
  }
  const { agents, tasks } = fleet.emulator.counts();
  return { refusals: rounds, agents, tasks, wrong };
}

/** T10: a backend that refuses every task, with agents that ask three sidecars again and again. */
export async function refuseEveryTask(t: TestScope, seconds: number) {
  const fleet = await Fleet.start(t);
  const agentIdentity = { policy: 'chatgptAuth' };
  const sidecars = await startSidecars(t, fleet, PROCESSES, { agentIdentity });
  const outcomes = new Map<string, number>();
  const code = 'task_expired';
  const body = { error: { message: 'The task has expired.', type: 'invalid_request_error', code } };
  fleet.emulator.addFault({
    path: '/backend-api/codex/responses',
    status: 401,
    headers: { 'x-openai-authorization-error': code },
    body,
    times: 0,
  });
  const first = fleet.emulator.counts().tasks;
  const begun = performance.now();
  while (performance.now() - begun < seconds * 1000) {
    for (const { url } of sidecars) {
      const outcome = await ask(url, 'turn');
      outcomes.set(outcome, (outcomes.get(outcome) ?? 0) + 1);
    }
    await sleep(500);
  }
  const { agents, tasks } = fleet.emulator.counts();
  const registered = tasks - first;
  // One at the first refusal, and one at the end of each interval.
  const allowed = 1 + Math.floor(seconds / INTERVAL_SECONDS);
  const wrong = registered > allowed || agents > 1 ? [`${registered} tasks, ${agents} agents`] : [];
  return { seconds, agents, registered, allowed, ...Object.fromEntries(outcomes), wrong };
}

/** Three processes on one login. `all` lets each do the same, and gives the tasks that they have then. */
async function startRegistrars(t: TestScope) {
  const fleet = await Fleet.start(t);
  const { authApiBaseUrl } = fleet.emulator.upstream;
  const children = Array.from({ length: PROCESSES }, (_, i) => {
    const options: RegistrarOptions = {
      urls: fleet.postgres.url(),
      keyFile: fleet.keyFile,
      replica: `registrar-${i}`,
      haste: HASTE,
      authApiBaseUrl,
    };
    return fork(PROGRAM, [JSON.stringify(options)], { env: { PATH: process.env.PATH } });
  });
  t.teardown(async () => {
    for (const child of children) child.kill('SIGKILL');
  });
  const all = async (order: RegistrarOrder) => {
    const replies = children.map(async (child) => {
      const reply = once(child, 'message');
      child.send(order);
      const [message] = (await reply) as [RegistrarReply];
      if ('problem' in message) throw new Error(message.problem);
      return message.taskId;
    });
    return new Set(await Promise.all(replies));
  };
  return { fleet, all };
}
