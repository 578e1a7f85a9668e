import type { MonotonicClock } from '../base/clock.ts';
import { DailyTokens, dayOf, type ModelTokens } from './daily-tokens.ts';
import { MinuteWindow } from './minute-window.ts';

/** What a client has used. */
export interface ClientCounts {
  /** Requests and upgrades, and further messages on WebSockets, in the last minute. */
  requestsLastMinute: number;
  /** Requests to the model that are open now, WebSockets included. */
  openStreams: number;
  /** Since midnight UTC. */
  tokensToday: ModelTokens;
}

/**
 * Counts what each client uses, by the name of its token. There are as many clients as there are
 * tokens, so this does not grow with the requests.
 */
export class ClientCounters {
  readonly #monotonicNow: MonotonicClock;
  readonly #requests = new Map<string, MinuteWindow>();
  readonly #streams = new Map<string, number>();
  readonly tokens = new DailyTokens();

  constructor(monotonicNow: MonotonicClock) {
    this.#monotonicNow = monotonicNow;
  }

  /** The client sent a request. */
  addRequest(client: string): void {
    this.#windowOf(client).add(this.#monotonicNow());
  }

  /** A request to the model begins. @returns to be called at its end; only the first call counts */
  openStream(client: string): () => void {
    this.#streams.set(client, this.#openOf(client) + 1);
    let open = true;
    return () => {
      if (!open) return;
      open = false;
      const left = this.#openOf(client) - 1;
      if (left > 0) this.#streams.set(client, left);
      else this.#streams.delete(client);
    };
  }

  /**
   * A response told what it took.
   * @param tokens whole numbers that are not negative
   * @param now milliseconds since 1970; says which day it counts for
   */
  addTokens(client: string, tokens: ModelTokens, now: number): void {
    this.tokens.add(client, tokens, dayOf(now));
  }

  /** @param now milliseconds since 1970 */
  of(client: string, now: number): ClientCounts {
    return {
      requestsLastMinute: this.#requests.get(client)?.count(this.#monotonicNow()) ?? 0,
      openStreams: this.#openOf(client),
      tokensToday: { ...this.tokens.of(client, dayOf(now)) },
    };
  }

  /** How long until fewer than `limit` requests were sent in a minute; milliseconds. */
  requestWaitMs(client: string, limit: number): number {
    return this.#requests.get(client)?.waitMs(limit, this.#monotonicNow()) ?? 0;
  }

  #openOf(client: string): number {
    return this.#streams.get(client) ?? 0;
  }

  #windowOf(client: string): MinuteWindow {
    let window = this.#requests.get(client);
    if (!window) {
      window = new MinuteWindow();
      this.#requests.set(client, window);
    }
    return window;
  }
}
