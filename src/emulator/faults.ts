/** An order to misbehave. Without `status`, `body` and `action` it only delays, or adds headers. */
export interface Fault {
  /** Default: every method. */
  method?: string;
  /** The exact path without query, or a prefix that ends in `*`. */
  path: string;
  /** How many requests it hits; default 1, 0 = every one until the faults are cleared. */
  times?: number;
  /** true: only upgrades; false: only plain requests; default both. */
  upgrade?: boolean;
  /** Status of the response that replaces the true one; default 200 with a `body`. */
  status?: number;
  /** Added to the response, in place of a header of the same name. */
  headers?: Record<string, string>;
  /** A string is sent as it is, anything else as JSON. */
  body?: unknown;
  /** Waits before the response. */
  delayMs?: number;
  /** Waits between the pieces of a response (server-sent events, frames): a slow body. */
  pieceDelayMs?: number;
  action?: FaultAction;
}

export const FAULT_ACTIONS = [
  /** TCP RST before the headers (over TLS the socket is destroyed). */
  'reset',
  /** Never responds. */
  'hang',
  /** Headers and half the body, then the socket is destroyed. */
  'cut',
  /** Headers and half the body, then nothing, with the socket left open. */
  'stall',
  /** Bytes that are not HTTP. */
  'garbage',
  /** Closes without a response. */
  'empty',
  /** WebSocket: accepts, then closes with 1008 at the first frame. */
  'close-after-first-frame',
] as const;

export type FaultAction = (typeof FAULT_ACTIONS)[number];

/** The faults that are still to happen, oldest first. */
export class FaultBook {
  #pending: { fault: Fault; left: number }[] = [];

  add(fault: Fault): void {
    const times = fault.times ?? 1;
    this.#pending.push({ fault, left: times === 0 ? Number.POSITIVE_INFINITY : times });
  }

  clear(): void {
    this.#pending = [];
  }

  /** Takes the oldest fault that fits, if any, and counts it down. */
  take(method: string, path: string, upgrade: boolean): Fault | null {
    const entry = this.#pending.find(({ fault }) => fits(fault, method, path, upgrade));
    if (!entry) return null;
    entry.left -= 1;
    if (entry.left <= 0) this.#pending = this.#pending.filter((other) => other !== entry);
    return entry.fault;
  }
}

function fits(fault: Fault, method: string, path: string, upgrade: boolean): boolean {
  if (fault.method !== undefined && fault.method.toUpperCase() !== method) return false;
  if (fault.upgrade !== undefined && fault.upgrade !== upgrade) return false;
  return fault.path.endsWith('*') ? path.startsWith(fault.path.slice(0, -1)) : path === fault.path;
}
