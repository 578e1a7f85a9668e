import { setTimeout as sleep } from 'node:timers/promises';
import type { EmulatorOptions } from '../../src/emulator/index.ts';
import type { TestScope } from '../helpers/program.ts';
import { ending, type FaultOutcome, HASTE, scaled } from './faults.ts';
import { Fleet, type Replica } from './fleet.ts';
import type { HaltPoint, ReplicaOptions } from './replica-process.ts';
import { TcpProxy } from './tcp-proxy.ts';

const REPLICAS = 3;
/** After so long an attempt that stands still is stale, in a sidecar. */
const STALE_MS = 45_000;
/** How long a response is waited for, as a sidecar does. */
const REAL_WAIT_MS = 30_000;
const RESPONSE_MS = 200;

export interface PauseOptions {
  /** How long a pause takes; by default a little longer than an attempt takes to be stale. */
  ms?: number;
  /** 1: as fast as a sidecar. */
  haste?: number;
}

/** T5: pulls the cable of a replica while its refresh is under way. */
export async function cutHolder(
  t: TestScope,
  rounds: number,
  { haste = HASTE, ms = STALE_MS / haste + 1_000 }: PauseOptions = {},
): Promise<FaultOutcome> {
  const { fleet, wires } = await startWired(t, optionsAt(haste));
  let writtenMs = 0;
  for (let i = 0; i < rounds; i++) {
    await disturb(fleet, async () => {
      const holder = await holderInFlight(fleet);
      const before = await rotationOf(fleet);
      wires.get(holder)?.cut();
      await pause(fleet, ms);
      wires.get(holder)?.join();
      const joined = performance.now();
      while ((await rotationOf(fleet)) === before) await sleep(10);
      writtenMs = Math.max(writtenMs, performance.now() - joined);
    });
  }
  return ending(fleet, rounds, { written: scaled(writtenMs, 1) });
}

/**
 * T5, where the access token ends meanwhile: then one of the others tries the refresh token once more,
 * and because it is spent, all of them say that the login has ended.
 * @returns how often the token was sent, and how many of the replicas say so
 */
export async function cutHolderOfEndingToken(t: TestScope) {
  const { fleet, wires } = await startWired(t, optionsAt(HASTE), { accessTokenLifetimeSeconds: 2 });
  await fleet.untilMore(5);
  const holder = await holderInFlight(fleet);
  wires.get(holder)?.cut();
  const others = fleet.replicas.filter((replica) => replica !== holder);
  await fleet.until(() => others.every(({ counts }) => counts.over > 0));
  wires.get(holder)?.join();
  await fleet.until(() => holder.counts.over > 0);
  const [token = '', ...more] = fleet.reused;
  const senders = fleet.sendersOf(token);
  await fleet.signIn();
  await fleet.untilMore(5);
  await fleet.stop();
  const unexplained = [...more, ...(senders[0] === holder.name ? [] : [token])];
  const { refreshed } = fleet;
  const figures = { faults: 1, refreshed, lost: 1, explained: 1, longest: {} };
  return { ...figures, retries: senders.length - 1, unexplained };
}

/**
 * T6: stops a replica, in the middle of a refresh.
 * @param where `flight`: the token endpoint has the refresh token, and has not responded
 */
export async function stopHolder(
  t: TestScope,
  rounds: number,
  options: PauseOptions & { where?: HaltPoint | 'flight' } = {},
): Promise<FaultOutcome> {
  const { haste = HASTE, ms = STALE_MS / haste + 1_000, where = 'flight' } = options;
  const fleet = await Fleet.start(t);
  for (let i = 0; i < REPLICAS; i++) fleet.add(optionsAt(haste));
  let refreshAgainMs = 0;
  for (let i = 0; i < rounds; i++) {
    await disturb(fleet, async () => {
      const holder = await (where === 'flight' ? stoppedInFlight(fleet) : haltedAt(fleet, where));
      await pause(fleet, ms);
      holder.child.kill('SIGCONT');
      const awake = performance.now();
      await fleet.untilMore(1);
      refreshAgainMs = Math.max(refreshAgainMs, performance.now() - awake);
    });
  }
  return ending(fleet, rounds, { refreshAgain: scaled(refreshAgainMs, haste) });
}

function optionsAt(haste: number): Partial<ReplicaOptions> {
  const real = haste === 1 ? { waitMs: REAL_WAIT_MS, pollMs: 1_000 } : {};
  return { refused: false, keepsConnection: false, haste, ...real };
}

/** A fleet, and the cable of each replica to the database. */
async function startWired(
  t: TestScope,
  options: Partial<ReplicaOptions>,
  backend: EmulatorOptions = {},
) {
  const fleet = await Fleet.start(t, backend);
  const wires = new Map<Replica, TcpProxy>();
  for (let i = 0; i < REPLICAS; i++) {
    const wire = await TcpProxy.start(t, fleet.postgres.port);
    wires.set(fleet.add({ ...options, urls: fleet.postgres.url(wire.port) }), wire);
  }
  return { fleet, wires };
}

/** Does something in the middle of a refresh, with refreshes before and after it. */
async function disturb(fleet: Fleet, act: () => Promise<void>): Promise<void> {
  await fleet.untilMore(5);
  await act();
  await fleet.untilMore(5);
}

/** The replica whose refresh token has just arrived; the response takes a while. */
async function holderInFlight(fleet: Fleet): Promise<Replica> {
  fleet.emulator.addFault({ path: '/oauth/token', delayMs: RESPONSE_MS });
  return fleet.nextHolder();
}

/** @throws when more is sent meanwhile than the one refresh token that may be under way */
async function pause(fleet: Fleet, ms: number): Promise<void> {
  const count = () => fleet.emulator.counts().refreshUses.size;
  const before = count();
  await sleep(ms);
  // It may have been counted just after it arrived.
  const meanwhile = count() - before;
  if (meanwhile > 1) throw new Error(`${meanwhile} refreshes while one was under way`);
}

async function stoppedInFlight(fleet: Fleet): Promise<Replica> {
  const holder = await holderInFlight(fleet);
  holder.child.kill('SIGSTOP');
  return holder;
}

async function haltedAt(fleet: Fleet, point: HaltPoint): Promise<Replica> {
  const replica = fleet.replicas[Math.floor(Math.random() * fleet.replicas.length)] as Replica;
  replica.tell(point);
  await replica.halted();
  return replica;
}

async function rotationOf({ store }: Fleet): Promise<number | null> {
  await store.load();
  const status = store.status();
  return status.kind === 'postgres' ? status.rotation : null;
}
