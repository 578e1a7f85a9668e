import fc from 'fast-check';
import t from 'tap';
import { holdsAsync } from '../helpers/property.ts';
import type { EngineFault } from './memory-register.ts';
import { type Replica, VirtualFleet } from './virtual-fleet.ts';

const MINUTE = 60_000;
t.setTimeout(300_000);

/** Each case plays minutes of a fleet; `PROPERTY_RUNS` looks further. */
const RUNS = Number(process.env.PROPERTY_RUNS ?? 4);

interface Incident {
  replica: number;
  afterMs: number;
  what: EngineFault | 'cut' | 'stop' | 'kill' | 'goBack';
  ms: number;
  delays: [number, number];
}

const incident = (what: Incident['what'][], longestMs: number) =>
  fc.record({
    replica: fc.nat(3),
    afterMs: fc.integer({ min: 1, max: 25_000 }),
    what: fc.constantFrom(...what),
    ms: fc.integer({ min: 1, max: longestMs }),
    delays: fc.tuple(fc.nat(longestMs), fc.nat(longestMs)),
  });

const replicas = fc.integer({ min: 2, max: 4 });

/** A fleet after everything that happened to it, and after it was left alone for a while. */
async function live(count: number, incidents: Incident[]): Promise<VirtualFleet> {
  const fleet = new VirtualFleet();
  await fleet.signIn();
  const start = () => void fleet.start().refreshForEver(300);
  for (let i = 0; i < count; i++) start();
  await fleet.time.pass(20_000);
  for (const { replica, afterMs, what, ms, delays } of incidents) {
    fleet.backend.delays.push(delays);
    await fleet.time.pass(afterMs);
    const target = fleet.living[replica % fleet.living.length] as Replica;
    if (what === 'cut') target.register.cut(ms);
    else if (what === 'stop') target.stop(ms);
    else if (what === 'goBack') goBack(fleet, ms);
    else if (what !== 'kill') target.register.fail(what);
    else {
      target.kill();
      start();
    }
  }
  fleet.backend.delays = [];
  await fleet.time.pass(4 * MINUTE);
  return fleet;
}

/** A failover breaks every connection; the last writes are gone. */
function goBack(fleet: VirtualFleet, ms: number): void {
  fleet.engine.goBack(1 + (ms % 5));
  for (const { register } of fleet.living) register.cut(500);
}

function check(fleet: VirtualFleet): void {
  if (fleet.backend.sent.length < 10) throw new Error('the fleet has hardly refreshed');
  noneSentTwice(fleet);
  countersNeverLower(fleet);
  everyAnswerStored(fleet);
}

/** I1 */
function noneSentTwice({ backend }: VirtualFleet): void {
  const first = new Map<string, number>();
  for (const { token, at, over } of backend.sent) {
    const before = first.get(token);
    if (before === undefined) first.set(token, at);
    else if (!over || at - before < 45_000) {
      throw new Error(`${token} was sent again after ${at - before} ms, over: ${over}`);
    }
  }
}

/** I2 */
function countersNeverLower({ engine, living }: VirtualFleet): void {
  const { row } = engine;
  for (const { store } of living) {
    const { login, rotation } = store.status();
    if (!row || row.login < Number(login) || row.rotation < Number(rotation)) {
      throw new Error(`the row has rotation ${row?.rotation}, a living replica saw ${rotation}`);
    }
  }
}

/** I3 */
function everyAnswerStored({ backend, stored }: VirtualFleet): void {
  for (const token of backend.delivered) {
    if (!stored.has(token)) throw new Error(`${token} came and was not stored`);
  }
}

t.test('replicas that die, stop or are cut off, an engine that loses confirmations', async (t) => {
  const kinds: Incident['what'][] = ['unconfirmed', 'lost', 'unreachable', 'cut', 'stop'];
  const incidents = fc.array(incident(kinds, 40_000), { maxLength: 6 });
  const property = fc.asyncProperty(replicas, incidents, async (count, list) => {
    const fleet = await live(count, list);
    check(fleet);
  });
  await holdsAsync(t, property, { numRuns: RUNS });
});

t.test(
  'replicas that are killed: the only loss is that of the one that held the answer',
  async (t) => {
    const incidents = fc.array(incident(['kill', 'cut', 'unconfirmed'], 30_000), { maxLength: 6 });
    const property = fc.asyncProperty(replicas, incidents, async (count, list) => {
      const fleet = await live(count, list);
      noneSentTwice(fleet);
      countersNeverLower(fleet);
    });
    await holdsAsync(t, property, { numRuns: RUNS });
  },
);

t.test('an engine that goes back is put right, and nothing spent is sent meanwhile', async (t) => {
  const kinds: Incident['what'][] = ['goBack', 'unconfirmed', 'lost'];
  const incidents = fc.array(incident(kinds, 14_000), { maxLength: 6 });
  const property = fc.asyncProperty(replicas, incidents, async (count, list) => {
    const fleet = await live(count, list);
    check(fleet);
    if (fleet.backend.living === '') throw new Error('the login is lost');
  });
  await holdsAsync(t, property, { numRuns: RUNS });
});

t.test('an engine that loses an announcement gets it back while its request goes on', async (t) => {
  const fleet = new VirtualFleet();
  await fleet.signIn();
  for (let i = 0; i < 3; i++) void fleet.start().refreshForEver(300);
  await fleet.time.pass(20_000);
  // Longer than the pause after a reconnect.
  fleet.backend.delays.push([25_000, 0]);
  await fleet.time.pass(2_000);
  const { sent } = fleet.backend;
  const before = sent.length;
  fleet.engine.goBack(1);
  for (const { register } of fleet.living) register.cut(500);
  await fleet.time.pass(15_000);
  t.equal(sent.length, before, 'nobody sends beside it');
  await fleet.time.pass(MINUTE);
  t.ok(sent.length > before, 'it goes on afterwards');
  t.equal(new Set(sent.map(({ token }) => token)).size, sent.length, 'every token once');
});

t.test('one agent and one run task, whoever starts first', async (t) => {
  const kinds: Incident['what'][] = ['unconfirmed', 'lost', 'cut'];
  const incidents = fc.array(incident(kinds, 2_000), { maxLength: 4 });
  const property = fc.asyncProperty(replicas, incidents, async (count, list) => {
    const fleet = new VirtualFleet();
    await fleet.signIn();
    for (let i = 0; i < count; i++) fleet.start();
    for (const { replica, what, ms } of list) {
      const { register } = fleet.replicas[replica % count] as Replica;
      if (what === 'cut') register.cut(ms);
      else if (what === 'lost' || what === 'unconfirmed') register.fail(what);
    }
    const all = fleet.replicas.map((replica) => replica.registerOnce());
    await fleet.time.pass(2 * MINUTE);
    await Promise.all(all);
    const { agents, tasks } = fleet.backend;
    // A registration that could not be written down is made again, by the same replica.
    const excused = list.filter(({ what }) => what !== 'unconfirmed').length;
    if (agents > 1 + excused || tasks > 1 + excused) throw new Error(`${agents} and ${tasks}`);
    const known = new Set(fleet.replicas.map(({ identity }) => identity?.known()?.agentRuntimeId));
    if (known.size !== 1) throw new Error(`${known.size} agents are in use`);
  });
  await holdsAsync(t, property, { numRuns: RUNS });
});
