import { setTimeout as sleep } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { median, quantile } from './random.mjs';
import {
  connectionsOf,
  descriptorsOf,
  needDescriptors,
  residentOf,
  start,
  startSidecar,
} from './stage.mjs';

/** Idle connections to the upstream are kept for a few seconds; longer than this is a leak. */
const SETTLE_MS = 20_000;
/** Largest growth of memory from one round to the next that is taken for noise. */
const GROWTH = 1.2;

/**
 * Runs a load in rounds through one sidecar: the first brings the process to its working size, and
 * after the last it must hold no more than after the first.
 * @param defaults streams, events (of each), interval (ms between two), aborts (share of streams)
 */
export async function soak(name, clientScript, defaults) {
  const order = settings(defaults);
  await needDescriptors(2 * order.streams + 200);
  const { streams, events, interval } = order;
  const upstream = start('upstream-load.mjs', [streams, events, interval].map(String));
  const clients = start(clientScript);
  const sidecar = await startSidecar(await upstream.ask('port'));
  const fresh = await settled(sidecar, 0);
  const failures = [];
  print(`${name}: ${streams} at once, ${events} each, ${order.aborts * 100} % leave early`);
  print(`fresh     ${held(fresh)}`);
  const rounds = [];
  for (let round = 1; round <= order.rounds; round++) {
    const began = performance.now();
    const seen = await clients.ask({ ...order, url: sidecar.url, seed: order.seed + round });
    const seconds = (performance.now() - began) / 1000;
    // The last ends reach the upstream after the clients.
    const after = await settled(sidecar, fresh.descriptors);
    const sent = await upstream.ask('counts');
    failures.push(...judge(order, seen, sent));
    rounds.push(after);
    report(round, seconds, seen, sent);
    print(`afterwards ${held(after)}`);
  }
  const [first, last] = [rounds[0], rounds.at(-1)];
  if (last.descriptors > fresh.descriptors) failures.push('descriptors are left');
  if (last.connections !== 0) failures.push('connections are counted still');
  if (last.heap > first.heap * GROWTH) failures.push('the heap has grown');
  if (last.rss > first.rss * GROWTH) failures.push('the resident memory has grown');
  if ((await sidecar.stop()) !== 0) failures.push('the sidecar did not stop in order');
  await Promise.all([clients.stop(), upstream.stop()]);
  for (const failure of failures.slice(0, 20)) print(`failure: ${failure}`);
  print(failures.length === 0 ? 'PASS' : `FAIL (${failures.length})`);
  process.exitCode = failures.length === 0 ? 0 : 1;
}

function settings(defaults) {
  const names = ['streams', 'events', 'interval', 'aborts', 'rounds', 'seed'];
  const options = Object.fromEntries(names.map((name) => [name, { type: 'string' }]));
  const given = Object.entries(parseArgs({ options }).values);
  return {
    rounds: 2,
    seed: 1,
    ...defaults,
    ...Object.fromEntries(given.map(([key, value]) => [key, Number(value)])),
  };
}

/** What the sidecar holds once it is idle: nothing open, pooled connections gone, garbage collected. */
async function settled(sidecar, descriptors) {
  const deadline = performance.now() + SETTLE_MS;
  const idle = async () =>
    (await connectionsOf(sidecar.url)) === 0 && (await descriptorsOf(sidecar.pid)) <= descriptors;
  while (descriptors > 0 && !(await idle()) && performance.now() < deadline) await sleep(200);
  return {
    ...(await sidecar.ask('memory')),
    peak: (await residentOf(sidecar.pid)).peak,
    connections: await connectionsOf(sidecar.url),
    descriptors: await descriptorsOf(sidecar.pid),
  };
}

function judge({ streams, events }, seen, sent) {
  const failures = [...seen.wrong, ...sent.wrong.map((one) => `upstream: ${JSON.stringify(one)}`)];
  if (seen.complete + seen.aborted !== streams)
    failures.push('not every client ended as it should');
  if (sent.opened !== streams) failures.push(`the upstream saw ${sent.opened} of ${streams}`);
  if (sent.finished !== seen.complete) failures.push(`the upstream finished ${sent.finished}`);
  if (sent.cut !== seen.aborted) failures.push(`the upstream saw ${sent.cut} abandoned`);
  if (seen.received < seen.complete * events) failures.push('messages are missing');
  return failures;
}

function report(round, seconds, seen, sent) {
  const delays = Object.entries(seen.left).map(([name, at]) => sent.abortsSeenAt[name] - at);
  const aborts = `${median(delays).toFixed(1)} ms median, ${quantile(delays, 0.99).toFixed(1)} ms p99`;
  const up = sent.received > 0 ? `, ${sent.received} up` : '';
  print(
    `round ${round}   ${seconds.toFixed(1)} s, ${seen.complete} complete, ${seen.aborted} left early, ` +
      `${seen.received} down${up}, wrong ${seen.wrong.length + sent.wrong.length}`,
  );
  print(`           abort seen by the upstream after ${aborts}`);
}

function held({ heap, rss, peak, descriptors, connections }) {
  const mib = (value) => `${value.toFixed(1)} MiB`;
  return (
    `heap ${mib(heap)}, resident ${mib(rss)} (peak ${mib(peak)}), ` +
    `${descriptors} descriptors, ${connections} connections`
  );
}

function print(line) {
  process.stdout.write(`${line}\n`);
}
