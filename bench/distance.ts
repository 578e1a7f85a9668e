import { fork } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { connect, type Socket } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { connect as connectTls } from 'node:tls';
import { fileURLToPath } from 'node:url';
import type { Measures } from './measures.ts';
import { type Emulated, sidecarPeer } from './peers/sidecar.ts';
import { nowMicros, type Target } from './protocol.ts';
import { DISTANCES_MS } from './relay.ts';
import { postBytes, upgradeBytes } from './request-bytes.ts';
import type { Actor, Stage } from './stage.ts';

const ROUNDS = 5;
/** Tools of an agent run for longer than this between two turns. */
const PAUSE_MS = 6_000;
const LONG_PAUSE_MS = 60_000;

/** A sidecar, and the upstream itself at the same distance. */
interface Place {
  id: string;
  actor: Actor;
  upstreamPort: number;
}

/**
 * What a client that has just started waits for the first byte of its turn, with the upstream at some
 * distance: through a sidecar that has been idle for a while, and without it.
 */
export async function measureDistance(
  stage: Stage,
  emulated: Emulated,
  measures: Measures,
): Promise<void> {
  const { tlsPlace } = stage;
  const program = fileURLToPath(new URL('./relay.js', import.meta.url));
  const relay = fork(program, [String(tlsPlace.upstreamPort)], { execArgv: [] });
  try {
    const [{ ports }] = (await once(relay, 'message')) as [{ ports: number[] }];
    const places: Place[] = [];
    for (const [i, upstreamPort] of ports.entries()) {
      const actor = await stage.start(sidecarPeer(emulated), { ...tlsPlace, upstreamPort });
      places.push({ id: distanceId(DISTANCES_MS[i] as number), actor, upstreamPort });
    }
    const ca = readFileSync(tlsPlace.caFile ?? '');
    const measure = (name: string) =>
      Promise.all(places.map((place) => measureOne(place, ca, name, measures)));
    await sleep(PAUSE_MS);
    for (let round = 0; round < ROUNDS; round++) {
      await measure('');
      await sleep(PAUSE_MS);
    }
    await sleep(LONG_PAUSE_MS - PAUSE_MS);
    await measure(' after 60 s');
    for (const { actor } of places) await stage.stop(actor);
  } finally {
    relay.disconnect();
  }
}

export function distanceId(delayMs: number): string {
  return `distance-${delayMs}`;
}

async function measureOne(
  { id, actor, upstreamPort }: Place,
  ca: Buffer,
  name: string,
  measures: Measures,
): Promise<void> {
  const { target } = actor;
  const direct = { ...target, port: upstreamPort };
  const dialDirect = () => connectTls({ port: upstreamPort, host: '127.0.0.1', ca });
  const dialSidecar = () => connect({ port: target.port, host: '127.0.0.1' });
  const requests: [string, (to: Target) => Buffer][] = [
    ['first byte', (to) => postBytes(to, 'json')],
    ['first byte of an upgrade', upgradeBytes],
  ];
  for (const [what, bytes] of requests) {
    const measure = `${what}${name}`;
    const add = (peer: 'direct' | 'sidecar', micros: number) =>
      measures.add(id, peer, { [measure]: [micros / 1000, 'ms'] });
    add('sidecar', await firstByte(dialSidecar(), bytes(target), 'connect'));
    add('direct', await firstByte(dialDirect(), bytes(direct), 'secureConnect'));
    // What was taken is made anew meanwhile.
    await sleep(PAUSE_MS);
  }
}

async function firstByte(socket: Socket, request: Buffer, ready: string): Promise<number> {
  const startedAt = nowMicros();
  socket.setNoDelay(true).once(ready, () => socket.write(request));
  await once(socket, 'data');
  const micros = nowMicros() - startedAt;
  socket.destroy();
  return micros;
}
