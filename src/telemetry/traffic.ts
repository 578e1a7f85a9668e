import { type Clock, wholeSeconds } from '../base/clock.ts';
import type { ExchangeListener } from './exchange-record.ts';

/** What the status shows of the requests so far. */
export interface TrafficSnapshot {
  connections: { http: number; websocket: number };
  /**
   * Tries with each credential, so that a replayed request counts twice.
   * `degraded` counts the bearer requests that should have carried an assertion. `denied` counts
   * what access rules, routes or the credential's policy refused (401 and 403 of our own).
   */
  requests: { assertion: number; bearer: number; degraded: number; denied: number };
  lastStatus: number | null;
  lastResponseAt: string | null;
}

/** What the status shows: counts of what passes through, and the upstream's last response. */
export class Traffic {
  readonly #now: Clock;
  readonly #connections = { http: 0, websocket: 0 };
  readonly #requests = { assertion: 0, bearer: 0, degraded: 0, denied: 0 };
  #waiters: (() => void)[] = [];
  #last: { status: number; at: number } | null = null;

  constructor(now: Clock) {
    this.#now = now;
  }

  /** Exchanges and sockets that are open now. */
  get open(): number {
    return this.#connections.http + this.#connections.websocket;
  }

  /** @returns a function to call at the end; only its first call counts */
  opened(kind: 'http' | 'websocket'): () => void {
    this.#connections[kind]++;
    let ended = false;
    return () => {
      if (ended) return;
      ended = true;
      this.#connections[kind]--;
      if (this.open === 0) for (const wake of this.#waiters.splice(0)) wake();
    };
  }

  /** Resolves when nothing is open. */
  idle(): Promise<void> {
    if (this.open === 0) return Promise.resolve();
    return new Promise((resolve) => this.#waiters.push(resolve));
  }

  request(kind: 'assertion' | 'bearer' | 'degraded'): void {
    this.#requests[kind]++;
  }

  readonly finished: ExchangeListener = ({ code, status }) => {
    if (code !== null && (status === 401 || status === 403)) this.#requests.denied++;
  };

  /** The upstream has answered with this status. */
  answered(status: number): void {
    this.#last = { status, at: this.#now() };
  }

  snapshot(): TrafficSnapshot {
    const last = this.#last;
    return {
      connections: { ...this.#connections },
      requests: { ...this.#requests },
      lastStatus: last?.status ?? null,
      lastResponseAt: last ? wholeSeconds(last.at) : null,
    };
  }
}
