import { type Clock, type MonotonicClock, wholeSeconds } from '../base/clock.ts';
import { type ExchangeRecord, statusClass } from './exchange-record.ts';
import { LogHistogram } from './log-histogram.ts';

/** What the status page draws. Steps are listed oldest first; the last one is still filling. */
export interface ActivityDocument {
  stepSeconds: number;
  /** Start of the last step. */
  lastStepAt: string;
  /** Proxied requests that ended in each step, and how many of them got a 4xx or failed. */
  requests: number[];
  refused: number[];
  failed: number[];
  /** Time to the first byte in milliseconds; null where no response came. */
  medianMs: (number | null)[];
  p95Ms: (number | null)[];
  /** The sidecar's share of it, over all steps. */
  addedMs: { median: number | null; p95: number | null };
  /** Finished requests since the start, by kind and status class; 429 is a class of its own. */
  byKind: Record<string, Record<string, number>>;
  /** Newest first. */
  refusals: RefusedRequest[];
}

/** A request that did not get what it asked for, and later ones that were just like it. */
interface RefusedRequest {
  /** Time of the last one. */
  at: string;
  count: number;
  client: string | null;
  method: string | null;
  path: string | null;
  status: number | null;
  /** The sidecar's own error; null when the upstream refused. */
  code: string | null;
}

const STEP_MS = 5_000;
const STEPS = 120;
const KEPT_REFUSALS = 10;
const LONGEST_PATH = 120;
/** These say something about the credential, the account or the client, not about one request. */
const REFUSALS = new Set([401, 403, 429]);

/** What the page draws: the last ten minutes, in memory of a fixed size. */
export class Activity {
  readonly #now: Clock;
  readonly #monotonicNow: MonotonicClock;
  readonly #requests = new Uint32Array(STEPS);
  readonly #refused = new Uint32Array(STEPS);
  readonly #failed = new Uint32Array(STEPS);
  readonly #firstByte = new LogHistogram(1, STEPS);
  readonly #added = new LogHistogram(0.02, STEPS);
  readonly #byKind: ActivityDocument['byKind'] = {};
  readonly #refusals: RefusedRequest[] = [];
  /** Number of the last step since the monotonic clock began. */
  #last: number;

  constructor(now: Clock, monotonicNow: MonotonicClock) {
    this.#now = now;
    this.#monotonicNow = monotonicNow;
    this.#last = Math.floor(monotonicNow() / STEP_MS);
  }

  readonly finished = (record: ExchangeRecord): void => {
    const { kind, status, code, firstByteMs, upstreamMs } = record;
    this.#countByKind(kind, status === 429 ? '429' : statusClass(status));
    if (code !== null || (status !== null && REFUSALS.has(status))) this.#keepRefusal(record);
    if (kind === 'own') return;
    const step = this.#advance();
    (this.#requests[step] as number) += 1;
    if (isFailure(record)) (this.#failed[step] as number) += 1;
    else if (status !== null && status >= 400) (this.#refused[step] as number) += 1;
    if (firstByteMs === null) return;
    this.#firstByte.add(step, firstByteMs);
    if (upstreamMs !== null) this.#added.add(step, firstByteMs - upstreamMs);
  };

  snapshot(): ActivityDocument {
    const newest = this.#advance();
    const steps = Array.from({ length: STEPS }, (_, i) => (newest + 1 + i) % STEPS);
    const counts = (ring: Uint32Array) => steps.map((step) => ring[step] ?? 0);
    const times = (fraction: number) =>
      steps.map((step) => rounded(this.#firstByte.quantile(step, fraction)));
    return {
      stepSeconds: STEP_MS / 1000,
      lastStepAt: wholeSeconds(this.#now() - (this.#monotonicNow() % STEP_MS)),
      requests: counts(this.#requests),
      refused: counts(this.#refused),
      failed: counts(this.#failed),
      medianMs: times(0.5),
      p95Ms: times(0.95),
      addedMs: {
        median: rounded(this.#added.quantile(null, 0.5)),
        p95: rounded(this.#added.quantile(null, 0.95)),
      },
      byKind: this.#byKind,
      refusals: this.#refusals,
    };
  }

  #countByKind(kind: string, status: string): void {
    this.#byKind[kind] ??= {};
    const classes = this.#byKind[kind];
    classes[status] = (classes[status] ?? 0) + 1;
  }

  #keepRefusal({ client, method, path, status, code, startedAt }: ExchangeRecord): void {
    const at = wholeSeconds(startedAt);
    const shown = path === null ? null : path.slice(0, LONGEST_PATH);
    const refused = { at, count: 1, client, method, path: shown, status, code };
    // A client that tries again and again must not displace everything else.
    const known = this.#refusals.findIndex((one) => isSame(one, refused));
    const [before] = known === -1 ? [] : this.#refusals.splice(known, 1);
    this.#refusals.unshift({ ...refused, count: (before?.count ?? 0) + 1 });
    if (this.#refusals.length > KEPT_REFUSALS) this.#refusals.pop();
  }

  /** Clears the steps that began since the last call. @returns the index of the current one */
  #advance(): number {
    const current = Math.floor(this.#monotonicNow() / STEP_MS);
    const passed = Math.min(current - this.#last, STEPS);
    for (let i = 1; i <= passed; i++) this.#clear((current - passed + i) % STEPS);
    if (passed > 0) this.#last = current;
    return this.#last % STEPS;
  }

  #clear(step: number): void {
    for (const ring of [this.#requests, this.#refused, this.#failed]) ring[step] = 0;
    this.#firstByte.clear(step);
    this.#added.clear(step);
  }
}

function isSame(a: RefusedRequest, b: RefusedRequest): boolean {
  const same = a.client === b.client && a.method === b.method && a.path === b.path;
  return same && a.status === b.status && a.code === b.code;
}

function isFailure({ status, outcome }: ExchangeRecord): boolean {
  return outcome === 'upstreamCut' || (status !== null && status >= 500);
}

/** To two significant digits below ten, whole milliseconds above. */
function rounded(ms: number | null): number | null {
  if (ms === null) return null;
  return ms < 10 ? Number(ms.toPrecision(2)) : Math.round(ms);
}
