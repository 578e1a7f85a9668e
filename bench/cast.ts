import type { Peer } from './peers/peer.ts';
import type { Actor, Stage } from './stage.ts';

/** Programs that compile while they run need this long to be themselves. */
const WARM_UP_SECONDS = 4;

/** The peers of a run, all of them up at the same time. */
export class Cast {
  readonly stage: Stage;
  readonly #peers: readonly Peer[];
  #actors: Actor[] = [];

  private constructor(stage: Stage, peers: readonly Peer[]) {
    this.stage = stage;
    this.#peers = peers;
  }

  static async start(stage: Stage, peers: readonly Peer[]): Promise<Cast> {
    const cast = new Cast(stage, peers);
    await cast.restart();
    return cast;
  }

  get actors(): readonly Actor[] {
    return this.#actors;
  }

  async restart(): Promise<void> {
    for (const actor of this.#actors.splice(0)) await this.stage.stop(actor);
    for (const peer of this.#peers) this.#actors.push(await this.stage.start(peer));
  }

  async warmUp(): Promise<void> {
    for (const { target } of this.#actors) {
      const job = { kind: 'requests', target, connections: 16, seconds: WARM_UP_SECONDS } as const;
      await this.stage.run<'requests'>({ ...job, answer: 'json' });
    }
  }
}
