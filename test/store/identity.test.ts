import { setTimeout as sleep } from 'node:timers/promises';
import t from 'tap';
import { Agent } from 'undici';
import { NO_CREDENTIAL } from '../../src/auth-store/auth-document.ts';
import type { SharedAuthStore } from '../../src/auth-store/shared-store.ts';
import { createHttpClient } from '../../src/upstream/http-client.ts';
import type { TestScope } from '../helpers/program.ts';
import { Fleet } from './fleet.ts';
import { openIdentity } from './open-identity.ts';
import { openStore } from './open-store.ts';
import { WITH_POSTGRES } from './postgres.ts';

t.setTimeout(300_000);

const REPLICAS = 3;
const HASTE = 20;
const PAUSE_MS = 60_000;
const REGISTER = '/api/accounts/v1/agent/register';

/** Three stores on one login, each with a connection of its own. */
async function start(t: TestScope) {
  const fleet = await Fleet.start(t);
  const agent = new Agent();
  t.teardown(() => agent.destroy());
  const options = { urls: fleet.postgres.url(), keyFile: fleet.keyFile, haste: HASTE };
  const stores = Array.from({ length: REPLICAS }, () => openStore(options));
  t.teardown(async () => void (await Promise.all(stores.map((store) => store.close()))));
  const http = createHttpClient(agent, 'codex-auth-sidecar/test');
  const outcomes: string[] = [];
  const open = (store: SharedAuthStore, pauseMs: number) =>
    openIdentity(store, {
      http,
      pauseMs,
      authApiBaseUrl: fleet.emulator.upstream.authApiBaseUrl,
      observe: (event) => {
        if (event.type === 'registration') outcomes.push(`${event.what} ${event.outcome}`);
      },
    });
  const openAll = (pauseMs = 0) => Promise.all(stores.map((store) => open(store, pauseMs)));
  const counts = () => {
    const { agents, tasks } = fleet.emulator.counts();
    return { agents, tasks };
  };
  return { fleet, openAll, counts, outcomes };
}

t.test(
  'T10: first starts of three replicas register one agent and one task',
  WITH_POSTGRES,
  async (t) => {
    const { fleet, openAll, counts } = await start(t);
    for (let round = 1; round <= 30; round++) {
      await fleet.store.overwrite({ ...NO_CREDENTIAL });
      await fleet.signIn();
      const identities = await openAll();
      const found = await Promise.all(identities.map((identity) => identity.establish()));
      t.equal(new Set(found.map(({ taskId }) => taskId)).size, 1);
      t.strictSame(counts(), { agents: round, tasks: round });
    }
  },
);

t.test(
  'T10: three replicas that are refused one task register one new task',
  WITH_POSTGRES,
  async (t) => {
    const { openAll, counts } = await start(t);
    const identities = await openAll();
    const [first] = await Promise.all(identities.map((identity) => identity.establish()));
    let taskId = first?.taskId ?? '';
    for (let round = 1; round <= 20; round++) {
      const refused = taskId;
      const found = await Promise.all(identities.map((identity) => identity.renew(refused)));
      const tasks = new Set(found.map((identity) => identity.taskId));
      t.equal(tasks.size, 1);
      t.notOk(tasks.has(refused));
      taskId = found[0]?.taskId ?? '';
      t.strictSame(counts(), { agents: 1, tasks: 1 + round });
    }
  },
);

t.test(
  'T10: a backend that refuses every task gets one registration an interval',
  WITH_POSTGRES,
  async (t) => {
    const { openAll, counts } = await start(t);
    const identities = await openAll(PAUSE_MS);
    const [first] = await Promise.all(identities.map((identity) => identity.establish()));
    let taskId = first?.taskId ?? '';
    const begun = performance.now();
    const messages = new Set<string>();
    while (counts().tasks < 4) {
      for (const identity of identities) {
        const next = await identity.renew(taskId).catch((error: Error) => error);
        if (next instanceof Error) messages.add(next.message);
        else taskId = next.taskId;
      }
      await sleep(20);
    }
    const intervals = ((performance.now() - begun) * HASTE) / PAUSE_MS;
    t.ok(counts().tasks - 1 <= Math.ceil(intervals), `3 in ${intervals} intervals`);
    t.strictSame([...messages], ['test registered a moment ago']);
  },
);

t.test(
  'T6: whoever comes late with its registration takes over what counts',
  WITH_POSTGRES,
  async (t) => {
    const { fleet, openAll, counts, outcomes } = await start(t);
    const [slow, quick] = await openAll();
    fleet.emulator.addFault({ path: REGISTER, delayMs: 5_000 });
    const late = slow?.establish();
    await fleet.emulator.waitFor(({ path }) => path === REGISTER);
    const found = await quick?.establish();
    t.strictSame(counts(), { agents: 1, tasks: 1 });
    t.match(await late, { agentRuntimeId: found?.agentRuntimeId, taskId: found?.taskId });
    t.strictSame(counts(), { agents: 2, tasks: 1 }, 'one orphan');
    t.ok(outcomes.includes('agent orphaned'), outcomes.join());
  },
);

t.test('a sign-out during a registration stays one', WITH_POSTGRES, async (t) => {
  const { fleet, openAll } = await start(t);
  const [identity] = await openAll();
  fleet.emulator.addFault({ path: REGISTER, delayMs: 300 });
  const late = Promise.resolve(identity?.establish());
  await fleet.emulator.waitFor(({ path }) => path === REGISTER);
  await fleet.store.overwrite({ ...NO_CREDENTIAL });
  await t.rejects(late, { code: 'AUTH_CREDENTIAL_INVALID' });
  const document = await fleet.store.load();
  t.equal(document?.identityRecord ?? null, null);
});
