import { setTimeout as sleep } from 'node:timers/promises';
import type { TestScope } from '../helpers/program.ts';
import { Fleet, type Replica } from './fleet.ts';
import { TcpProxy } from './tcp-proxy.ts';

const REPLICAS = 3;
/** Pauses pass ten times as fast in a replica: after so long an attempt that stands still is stale. */
const STALE_MS = 4_500;

/** What a fleet has lived through. */
export interface FaultOutcome {
  faults: number;
  refreshed: number;
  /** Sign-ins that became necessary. */
  lost: number;
  /** Refresh tokens that were sent twice because their first sender was killed. */
  explained: number;
  /** Refresh tokens that were sent twice for any other reason. */
  unexplained: string[];
}

/** T1: nothing but contention. */
export async function contend(t: TestScope, refreshes: number): Promise<FaultOutcome> {
  const fleet = await Fleet.start(t);
  for (let i = 0; i < REPLICAS; i++) fleet.add();
  await fleet.until(() => fleet.refreshed >= refreshes);
  return ending(fleet, 0);
}

/** T2: kills a random replica again and again, and starts another one. */
export async function killReplicas(t: TestScope, kills: number): Promise<FaultOutcome> {
  const fleet = await Fleet.start(t);
  fleet.emulator.addFault({ path: '/oauth/token', delayMs: 20, times: 0 });
  for (let i = 0; i < REPLICAS; i++) fleet.add();
  let lost = 0;
  for (let faults = 0; faults < kills; faults++) {
    lost += await untilRefreshed(fleet, fleet.refreshed + 5);
    await sleep(Math.random() * 100);
    await kill(fleet);
    fleet.add();
  }
  lost += await untilRefreshed(fleet, fleet.refreshed + 5);
  await fleet.stop();
  const killed = new Set(fleet.past.map(({ name }) => name));
  const isExplained = (token: string) => killed.has(fleet.sendersOf(token)[0] ?? '');
  const unexplained = fleet.reused.filter((token) => !isExplained(token));
  const explained = fleet.reused.length - unexplained.length;
  return { faults: kills, refreshed: fleet.refreshed, lost, explained, unexplained };
}

/** Signs in again when the login has ended. @returns how often */
async function untilRefreshed(fleet: Fleet, count: number): Promise<number> {
  let lost = 0;
  const over = () => fleet.replicas.reduce((sum, { counts }) => sum + counts.over, 0);
  while (fleet.refreshed < count) {
    const before = over();
    await fleet.until(() => fleet.refreshed >= count || over() > before);
    if (fleet.refreshed >= count) break;
    await fleet.store.load();
    const status = fleet.store.status();
    if (status.kind !== 'postgres' || status.refresh.state !== 'over') continue;
    lost++;
    await fleet.signIn();
  }
  return lost;
}

async function kill(fleet: Fleet): Promise<void> {
  const victim = fleet.replicas[Math.floor(Math.random() * fleet.replicas.length)] as Replica;
  victim.child.kill('SIGKILL');
  await victim.exited;
  fleet.remove(victim);
}

/** T3: stops the database and starts it again, half of the times without a clean end. */
export async function restartEngine(t: TestScope, restarts: number): Promise<FaultOutcome> {
  const fleet = await Fleet.start(t);
  for (let i = 0; i < REPLICAS; i++) fleet.add();
  for (let i = 0; i < restarts; i++) {
    const { refreshed } = fleet;
    await fleet.until(() => fleet.refreshed >= refreshed + 10);
    await fleet.postgres.stop(i % 2 === 0 ? 'immediate' : 'fast');
    await fleet.postgres.launch();
  }
  const { refreshed } = fleet;
  await fleet.until(() => fleet.refreshed >= refreshed + 10);
  return ending(fleet, restarts);
}

/** T5: pulls the cable of a replica while its refresh is under way, for longer than the stale time. */
export async function cutHolder(t: TestScope, rounds: number): Promise<FaultOutcome> {
  const fleet = await Fleet.start(t);
  const wires = new Map<Replica, TcpProxy>();
  for (let i = 0; i < REPLICAS; i++) {
    const wire = await TcpProxy.start(t, fleet.postgres.port);
    wires.set(fleet.add({ urls: fleet.postgres.url(wire.port), refused: false }), wire);
  }
  for (let i = 0; i < rounds; i++) {
    await disturb(fleet, async (holder) => {
      wires.get(holder)?.cut();
      await sleep(STALE_MS + 1_000);
      wires.get(holder)?.join();
    });
  }
  return ending(fleet, rounds);
}

/** T6: stops a replica while its refresh is under way, for longer than the stale time. */
export async function stopHolder(t: TestScope, rounds: number): Promise<FaultOutcome> {
  const fleet = await Fleet.start(t);
  for (let i = 0; i < REPLICAS; i++) fleet.add({ refused: false });
  for (let i = 0; i < rounds; i++) {
    await disturb(fleet, async (holder) => {
      holder.child.kill('SIGSTOP');
      await sleep(STALE_MS + 1_000);
      holder.child.kill('SIGCONT');
    });
  }
  return ending(fleet, rounds);
}

/** Does something to the replica whose refresh is under way, and waits for the refreshes after it. */
async function disturb(fleet: Fleet, act: (holder: Replica) => Promise<void>): Promise<void> {
  const { refreshed } = fleet;
  await fleet.until(() => fleet.refreshed >= refreshed + 5);
  fleet.emulator.addFault({ path: '/oauth/token', delayMs: 200 });
  const holder = await fleet.nextHolder();
  const sent = fleet.emulator.counts().refreshUses.size;
  await act(holder);
  const meanwhile = fleet.emulator.counts().refreshUses.size - sent;
  // The one whose outcome the others cannot know may have been counted just after it arrived.
  if (meanwhile > 1) throw new Error(`${meanwhile} refreshes while one was under way`);
  const now = fleet.refreshed;
  await fleet.until(() => fleet.refreshed >= now + 5);
}

async function ending(fleet: Fleet, faults: number): Promise<FaultOutcome> {
  await fleet.stop();
  const all = [...fleet.replicas, ...fleet.past];
  const lost = all.reduce((sum, { counts }) => sum + counts.over, 0);
  const { refreshed, reused } = fleet;
  return { faults, refreshed, lost, explained: 0, unexplained: reused };
}
