import type { TestScope } from '../helpers/program.ts';
import { Fleet } from './fleet.ts';

const REPLICAS = 3;
/** How many times faster than in a sidecar each pause passes in a replica. */
export const HASTE = 10;

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
  /** The longest times, in seconds of a sidecar, whose pauses are `haste` times as long. */
  longest: Record<string, number>;
}

/** What goes on beside the faults. It ends when the result is called, which tells what came of it. */
export type Beside = (fleet: Fleet) => Promise<() => Promise<object>>;

/** T1: nothing but contention. */
export async function contend(t: TestScope, refreshes: number): Promise<FaultOutcome> {
  const fleet = await Fleet.start(t);
  for (let i = 0; i < REPLICAS; i++) fleet.add();
  await fleet.until(() => fleet.refreshed >= refreshes);
  return ending(fleet, 0);
}

/** T3: stops the database and starts it again, half of the times without a clean end. */
export async function restartEngine(
  t: TestScope,
  restarts: number,
  {
    haste = HASTE,
    beside = async () => async () => ({}),
  }: { haste?: number; beside?: Beside } = {},
): Promise<FaultOutcome> {
  const fleet = await Fleet.start(t);
  const endBeside = await beside(fleet);
  for (let i = 0; i < REPLICAS; i++) fleet.add({ haste });
  let refreshAgainMs = 0;
  for (let i = 0; i < restarts; i++) {
    await fleet.untilMore(10);
    await fleet.postgres.stop(i % 2 === 0 ? 'immediate' : 'fast');
    await fleet.postgres.launch();
    const back = performance.now();
    await fleet.untilMore(1);
    refreshAgainMs = Math.max(refreshAgainMs, performance.now() - back);
  }
  await fleet.untilMore(10);
  const meanwhile = await endBeside();
  const outcome = await ending(fleet, restarts, { refreshAgain: scaled(refreshAgainMs, haste) });
  return { ...outcome, ...meanwhile };
}

/** Stops a fleet of which nobody was killed, and says what it has lived through. */
export async function ending(
  fleet: Fleet,
  faults: number,
  longest: Record<string, number> = {},
): Promise<FaultOutcome> {
  await fleet.stop();
  const { refreshed, reused, over: lost } = fleet;
  return { faults, refreshed, lost, explained: 0, unexplained: reused, longest };
}

/** Seconds of a sidecar, to a tenth. */
export function scaled(ms: number, haste = HASTE): number {
  return Math.round((ms * haste) / 100) / 10;
}
