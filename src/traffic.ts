import type { Clock } from './clock.ts';

/** What status shows of the requests so far. */
export interface TrafficSnapshot {
  connections: { http: number; websocket: number };
  requests: { assertion: number; bearer: number; denied: number };
  lastStatus: number | null;
  lastResponseAt: string | null;
  /** Our clock minus the upstream's, in whole seconds; null before the first answer. */
  clockSkewSeconds: number | null;
}

/** Counts what passes through, and remembers the last answer of the upstream. */
export class Traffic {
  readonly #now: Clock;
  readonly #connections = { http: 0, websocket: 0 };
  readonly #requests = { assertion: 0, bearer: 0, denied: 0 };
  #waiters: (() => void)[] = [];
  #last: { status: number; at: number; date: string | null } | null = null;

  constructor(now: Clock) {
    this.#now = now;
  }

  /** Exchanges and sockets that are open now. */
  get open(): number {
    return this.#connections.http + this.#connections.websocket;
  }

  /** @returns a function that counts the end; it may be called more than once */
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

  request(kind: 'assertion' | 'bearer' | 'denied'): void {
    this.#requests[kind]++;
  }

  answered(status: number, rawHeaders: readonly (Buffer | string)[]): void {
    this.#last = { status, at: this.#now(), date: headerValue(rawHeaders, 'date') };
  }

  snapshot(): TrafficSnapshot {
    const last = this.#last;
    const upstreamTime = last?.date ? Date.parse(last.date) : Number.NaN;
    return {
      connections: { ...this.#connections },
      requests: { ...this.#requests },
      lastStatus: last?.status ?? null,
      lastResponseAt: last ? new Date(last.at).toISOString() : null,
      clockSkewSeconds:
        last && !Number.isNaN(upstreamTime)
          ? Math.floor(last.at / 1000) - Math.floor(upstreamTime / 1000)
          : null,
    };
  }
}

function headerValue(raw: readonly (Buffer | string)[], name: string): string | null {
  for (let i = 0; i + 1 < raw.length; i += 2) {
    if (String(raw[i]).toLowerCase() === name) return String(raw[i + 1]);
  }
  return null;
}
