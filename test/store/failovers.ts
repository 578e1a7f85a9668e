import { setTimeout as sleep } from 'node:timers/promises';
import type { TestScope } from '../helpers/program.ts';
import { HASTE, scaled } from './faults.ts';
import { Fleet } from './fleet.ts';
import { Postgres } from './postgres.ts';
import { TcpProxy } from './tcp-proxy.ts';

const REPLICAS = 3;

/** A fleet that knows a primary and its standby, with the wire between these two. */
export async function startPair(t: TestScope, haste = HASTE) {
  const fleet = await Fleet.start(t);
  const wire = await TcpProxy.start(t, fleet.postgres.port);
  const standby = await Postgres.standbyOf(t, wire.port);
  const urls = `${fleet.postgres.url()}\n${standby.url()}`;
  for (let i = 0; i < REPLICAS; i++) fleet.add({ urls, haste });
  return { fleet, wire, standby, urls };
}

export async function rotationOf(postgres: Postgres): Promise<number> {
  const [row] = await postgres.sql('SELECT rotation FROM codex_auth_sidecar.login');
  return Number(row?.rotation);
}

/**
 * T4a: a primary whose commits wait for its standby loses it, dies, and the standby takes its place.
 * @returns `sentMeanwhile`: refresh tokens that were sent while no commit was confirmed
 */
export async function failOverInStep(t: TestScope) {
  const { fleet, wire, standby } = await startPair(t);
  await fleet.postgres.sql("ALTER SYSTEM SET synchronous_standby_names = '*'");
  await fleet.postgres.sql('SELECT pg_reload_conf()');
  await fleet.untilMore(10);
  wire.cut();
  // The one under way may still end; then no commit is confirmed.
  await sleep(1_000);
  const sent = fleet.emulator.counts().refreshUses.size;
  await sleep(2_000);
  const sentMeanwhile = fleet.emulator.counts().refreshUses.size - sent;
  return { sentMeanwhile, ...(await failOver(fleet, standby, HASTE)) };
}

/**
 * T4b: the standby hears nothing of the last refreshes, and then the primary dies.
 * @returns `rotationsLost`: how many of them it has missed at least; `writtenBack`: by how many replicas
 */
export async function failOverBehind(t: TestScope, haste = HASTE) {
  const { fleet, wire, standby } = await startPair(t, haste);
  await fleet.untilMore(10);
  wire.cut();
  await sleep(1_000);
  await fleet.untilMore(10);
  const before = await rotationOf(fleet.postgres);
  const missed = await rotationOf(standby);
  const outcome = await failOver(fleet, standby, haste);
  const writtenBack = fleet.all.filter((replica) => replica.writtenBack > 0).length;
  return { rotationsLost: before - missed, writtenBack, ...outcome };
}

/** @returns `refreshAgain`: after how many seconds of a sidecar */
async function failOver(fleet: Fleet, standby: Postgres, haste: number) {
  await fleet.postgres.stop('immediate');
  await standby.promote();
  const promoted = performance.now();
  await fleet.untilMore(1);
  const refreshAgain = scaled(performance.now() - promoted, haste);
  await fleet.untilMore(9);
  await fleet.stop();
  return { refreshAgain, reused: fleet.reused, over: fleet.over };
}
