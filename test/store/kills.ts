import { setTimeout as sleep } from 'node:timers/promises';
import type { TestScope } from '../helpers/program.ts';
import { type FaultOutcome, HASTE, scaled } from './faults.ts';
import { Fleet, type Replica } from './fleet.ts';

const REPLICAS = 3;
/** How often a replica looks at what it knows. */
export const TELL_MS = 20;

/** Something that all who lived then were to notice. */
export interface Event {
  at: number;
  state: 'uncertain' | 'over';
  witnesses: Replica[];
}

/** T2: kills a random replica again and again, and starts another one. */
export async function killReplicas(
  t: TestScope,
  kills: number,
  { haste = HASTE, pollMs = 200 }: { haste?: number; pollMs?: number } = {},
): Promise<FaultOutcome> {
  const fleet = await Fleet.start(t);
  const events: Event[] = [];
  const add = () => fleet.add({ haste, pollMs, tellMs: TELL_MS });
  fleet.emulator.addFault({ path: '/oauth/token', delayMs: 20, times: 0 });
  for (let i = 0; i < REPLICAS; i++) add();
  for (let faults = 0; faults < kills; faults++) {
    await untilRefreshed(fleet, fleet.refreshed + 5, events);
    await sleep(Math.random() * 100);
    await kill(fleet, events);
    add();
  }
  await untilRefreshed(fleet, fleet.refreshed + 5, events);
  return endingOfKilled(fleet, kills, events, haste);
}

/** Stops a fleet of which some were killed, and says what it has lived through. */
export async function endingOfKilled(
  fleet: Fleet,
  faults: number,
  events: Event[],
  haste = HASTE,
): Promise<FaultOutcome> {
  await fleet.stop();
  const killed = new Set(fleet.past.map(({ name }) => name));
  const isExplained = (token: string) => killed.has(fleet.sendersOf(token)[0] ?? '');
  const unexplained = fleet.reused.filter((token) => !isExplained(token));
  return {
    faults,
    refreshed: fleet.refreshed,
    lost: events.filter(({ state }) => state === 'over').length,
    explained: fleet.reused.length - unexplained.length,
    unexplained,
    longest: {
      uncertain: scaled(longest(events, 'uncertain'), haste),
      // What others write is noticed by looking, and they look no faster than a sidecar.
      over: scaled(longest(events, 'over'), 1),
    },
  };
}

/** Signs in again when the login has ended. */
export async function untilRefreshed(fleet: Fleet, count: number, events: Event[]): Promise<void> {
  while (fleet.refreshed < count) {
    const { over } = fleet;
    await fleet.until(() => fleet.refreshed >= count || fleet.over > over);
    if (fleet.refreshed >= count) break;
    if ((await refreshOf(fleet)).state !== 'over') continue;
    const retry = fleet.emulator.records.findLast(({ status }) => status === 401);
    const event: Event = { ...seenBy(fleet, 'over'), at: Date.parse(retry?.at ?? '') };
    events.push(event);
    await fleet.until(() => delaysOf(event).length === event.witnesses.length);
    await fleet.signIn();
  }
}

export async function kill(fleet: Fleet, events: Event[]): Promise<void> {
  const victim = fleet.replicas[Math.floor(Math.random() * fleet.replicas.length)] as Replica;
  victim.child.kill('SIGKILL');
  await victim.exited;
  fleet.remove(victim);
  const event = seenBy(fleet, 'uncertain');
  if ((await refreshOf(fleet)).by === victim.name) events.push(event);
}

function seenBy({ replicas }: Fleet, state: Event['state']): Event {
  // One that has just been started is not ready to see anything.
  return { at: Date.now(), state, witnesses: replicas.filter(({ counts }) => counts.ready > 0) };
}

/** What the row says of a refresh. */
async function refreshOf({ store }: Fleet) {
  await store.load();
  const status = store.status();
  return status.kind === 'postgres' ? status.refresh : { state: 'idle', by: null };
}

/** After how many milliseconds each witness has noticed an event. */
function delaysOf({ at, state, witnesses }: Event): number[] {
  return witnesses.flatMap(({ sightings }) => {
    const seen = sightings.find((sighting) => sighting.state === state && sighting.at >= at);
    return seen ? [seen.at - at] : [];
  });
}

function longest(events: Event[], state: Event['state']): number {
  return Math.max(0, ...events.filter((event) => event.state === state).flatMap(delaysOf));
}
