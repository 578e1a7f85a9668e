import type { ClientCountsRow } from '../base/client-counts.ts';
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

/** Other sidecars that have not said anything for longer are not counted as busy; milliseconds. */
const OTHERS_MS = 60_000;
/** When all requests of a minute were sent by others, who say so from time to time; milliseconds. */
const OTHERS_WAIT_MS = 15_000;

const NOTHING: Omit<ClientCountsRow, 'client'> = { input: 0, output: 0, requests: 0, streams: 0 };

/** What the other sidecars with the same store have said. */
interface Others {
  day: number;
  /** On the monotonic clock. */
  at: number;
  rows: ReadonlyMap<string, ClientCountsRow>;
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
  #others: Others | null = null;

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

  /** All sidecars together. @param now milliseconds since 1970 */
  of(client: string, now: number): ClientCounts {
    const day = dayOf(now);
    const { input, output } = this.tokens.of(client, day);
    const others = this.#othersOf(client, day);
    return {
      requestsLastMinute: this.#ownRequests(client) + others.requests,
      openStreams: this.#openOf(client) + others.streams,
      tokensToday: { input: input + others.input, output: output + others.output },
    };
  }

  /**
   * How long until fewer than `limit` requests were sent in a minute; milliseconds.
   * @param now milliseconds since 1970
   */
  requestWaitMs(client: string, limit: number, now: number): number {
    const left = limit - this.#othersOf(client, dayOf(now)).requests;
    if (left <= 0) return OTHERS_WAIT_MS;
    return this.#requests.get(client)?.waitMs(left, this.#monotonicNow()) ?? 0;
  }

  /** What this sidecar alone has counted on a day. */
  own(day: number): ClientCountsRow[] {
    const today = this.tokens.days.get(day);
    const clients = new Set([
      ...(today?.keys() ?? []),
      ...this.#requests.keys(),
      ...this.#streams.keys(),
    ]);
    return [...clients].map((client) => ({
      client,
      ...this.tokens.of(client, day),
      requests: this.#ownRequests(client),
      streams: this.#openOf(client),
    }));
  }

  /** From now on these counts of other sidecars are added. */
  useOthers(day: number, rows: readonly ClientCountsRow[]): void {
    const byClient = new Map(rows.map((row) => [row.client, row]));
    this.#others = { day, at: this.#monotonicNow(), rows: byClient };
  }

  #othersOf(client: string, day: number): Omit<ClientCountsRow, 'client'> {
    const others = this.#others;
    const row = others?.rows.get(client);
    if (!others || !row) return NOTHING;
    const { requests, streams } = this.#monotonicNow() - others.at < OTHERS_MS ? row : NOTHING;
    const { input, output } = others.day === day ? row : NOTHING;
    return { input, output, requests, streams };
  }

  #ownRequests(client: string): number {
    return this.#requests.get(client)?.count(this.#monotonicNow()) ?? 0;
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
