import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { Peer, Place, RunningPeer } from './peers/peer.ts';
import type { Job, JobOf, Results, UpstreamCounts } from './protocol.ts';

/** A peer that runs. */
export interface Actor extends RunningPeer {
  peer: Peer;
}

/** Upstream and load generator, each a process, and the peers between them. */
export class Stage {
  /** The upstream with plain http, and the same one with TLS. */
  readonly place: Place;
  readonly tlsPlace: Place;
  readonly #upstream: ChildProcess;
  readonly #load: ChildProcess;
  readonly #actors = new Set<Actor>();
  readonly #closers: (() => Promise<void>)[] = [];

  private constructor(place: Place, tlsPlace: Place, upstream: ChildProcess, load: ChildProcess) {
    this.place = place;
    this.tlsPlace = tlsPlace;
    this.#upstream = upstream;
    this.#load = load;
  }

  static async open(): Promise<Stage> {
    const upstream = start('upstream.js');
    const [{ port, tlsPort, cert }] = (await once(upstream, 'message')) as [
      { port: number; tlsPort: number; cert: string },
    ];
    const folder = mkdtempSync(join(tmpdir(), 'sidecar-bench-'));
    const caFile = join(folder, 'upstream.pem');
    writeFileSync(caFile, cert);
    const plain = { upstreamPort: port, caFile: null, folder };
    const tls = { upstreamPort: tlsPort, caFile, folder };
    return new Stage(plain, tls, upstream, start('load/main.js'));
  }

  /** Starts a peer, and checks that the upstream gets from it what it should. */
  async start(peer: Peer, place = this.place): Promise<Actor> {
    const actor = { peer, ...(await peer.start(place)) };
    this.#actors.add(actor);
    await this.#check(actor);
    return actor;
  }

  async stop(actor: Actor): Promise<void> {
    this.#actors.delete(actor);
    await actor.stop();
  }

  /** Does one job on the load generator. Jobs come one at a time. */
  async run<K extends Job['kind']>(job: JobOf<K>): Promise<Results[K]> {
    this.#load.send(job);
    const [message] = (await once(this.#load, 'message')) as [
      { result?: Results[K]; failure?: string },
    ];
    if (message.result) return message.result;
    throw new Error(message.failure ?? 'the load generator failed');
  }

  /** What the upstream has written until now. */
  async upstreamCounts(): Promise<UpstreamCounts> {
    this.#upstream.send('counts');
    const [counts] = (await once(this.#upstream, 'message')) as [UpstreamCounts];
    return counts;
  }

  atClose(closer: () => Promise<void>): void {
    this.#closers.push(closer);
  }

  async close(): Promise<void> {
    for (const actor of this.#actors) await actor.stop();
    for (const closer of this.#closers) await closer();
    this.#load.disconnect();
    this.#upstream.disconnect();
    rmSync(this.place.folder, { recursive: true, force: true });
  }

  async #check({ peer, target }: Actor): Promise<void> {
    const { body } = await this.run<'probe'>({ kind: 'probe', target, response: 'echo' });
    const sent = /authorization: *([^\\]*)\\r/i.exec(body)?.[1] ?? '';
    if (peer.credential !== null && !sent.startsWith(peer.credential)) {
      throw new Error(`${peer.name} did not inject its credential`);
    }
  }
}

function start(program: string): ChildProcess {
  return fork(fileURLToPath(new URL(program, import.meta.url)), { execArgv: [] });
}
