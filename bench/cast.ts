import type { Peer, Place } from './peers/peer.ts';
import type { Actor, Stage } from './stage.ts';

/**
 * V8 compiles while it runs: what a request costs a peer on Node falls for ten seconds of load, and
 * longest for the one with most code (measured). The rounds of (a1) do the rest. Others need less.
 */
const WARM_UP_SECONDS = 7;
const SHORT_WARM_UP_SECONDS = 1;

/** The peers of a run, all of them up at the same time. */
export class Cast {
  readonly stage: Stage;
  readonly #peers: readonly Peer[];
  readonly #place: Place;
  #actors: Actor[] = [];

  private constructor(stage: Stage, peers: readonly Peer[], place: Place) {
    this.stage = stage;
    this.#place = place;
    this.#peers = peers;
  }

  /** @param place of the stage; default the one with plain http */
  static async start(stage: Stage, peers: readonly Peer[], place = stage.place): Promise<Cast> {
    const cast = new Cast(stage, peers, place);
    await cast.restart();
    return cast;
  }

  get actors(): readonly Actor[] {
    return this.#actors;
  }

  async restart(): Promise<void> {
    await this.stop();
    for (const peer of this.#peers) {
      this.#actors.push(await this.stage.start(peer, this.#place));
    }
  }

  async stop(): Promise<void> {
    for (const actor of this.#actors.splice(0)) await this.stage.stop(actor);
  }

  /** @param nodeSeconds of those that run on Node */
  async warmUp(nodeSeconds = WARM_UP_SECONDS): Promise<void> {
    for (const { target, peer } of this.#actors) {
      const seconds = peer.isNode ? nodeSeconds : SHORT_WARM_UP_SECONDS;
      await this.stage.run<'requests'>({
        kind: 'requests',
        targets: [target],
        response: 'json',
        connections: 16,
        seconds,
      });
    }
  }
}
