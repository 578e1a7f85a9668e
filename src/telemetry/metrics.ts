import type { ErrorCode } from '../base/errors.ts';
import type { CredentialEvent } from './credential-events.ts';
import type { ExchangeRecord, Outcome, RouteKind } from './exchange-record.ts';

/** Bounds of the time that the sidecar adds; seconds. */
const ADDED_BOUNDS = [
  0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10,
  30,
];
/** Bounds of the time to the first byte, up to the minutes that a model may think; seconds. */
const FIRST_BYTE_BOUNDS = [
  0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300, 600, 1800,
];

/** The methods that are told apart; a client can make up any number of others. */
const METHODS = new Set(['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS']);

/** How often each value of something was seen; the values must be few. */
export class Tally<Value extends string> {
  readonly #counts = new Map<Value, number>();

  /** @param known values that are shown before they are seen */
  constructor(known: readonly Value[] = []) {
    for (const value of known) this.#counts.set(value, 0);
  }

  add(value: Value, amount = 1): void {
    this.#counts.set(value, (this.#counts.get(value) ?? 0) + amount);
  }

  get entries(): [Value, number][] {
    return [...this.#counts];
  }
}

/** How many answers there were of each class of status. */
export class StatusClasses {
  /** By the first digit; at 0 those of clients that were gone before any answer. */
  readonly #counts = new Array<number>(10).fill(0);

  add(status: number | null): void {
    (this.#counts[Math.floor((status ?? 0) / 100)] as number) += 1;
  }

  /** `2xx` and so on, and `none`; those that were seen. */
  get entries(): [string, number][] {
    const entries: [string, number][] = [];
    for (const [digit, count] of this.#counts.entries()) {
      if (count > 0) entries.push([digit === 0 ? 'none' : `${digit}xx`, count]);
    }
    return entries;
  }
}

/** How many requests there were by kind, method and class of status. */
export class RequestTally {
  // Nested, because to put a text together and look it up takes longer than all other counting.
  readonly #counts = new Map<RouteKind, Map<string, StatusClasses>>();

  add({ kind, method, status }: Pick<ExchangeRecord, 'kind' | 'method' | 'status'>): void {
    const known = method !== null && METHODS.has(method) ? method : 'other';
    const methods = valueIn(this.#counts, kind, () => new Map<string, StatusClasses>());
    valueIn(methods, known, () => new StatusClasses()).add(status);
  }

  /** By `kind method class`, e.g. `assertion POST 2xx`. */
  get entries(): [string, number][] {
    const entries: [string, number][] = [];
    for (const [kind, methods] of this.#counts) {
      for (const [method, classes] of methods) {
        for (const [name, count] of classes.entries) {
          entries.push([`${kind} ${method} ${name}`, count]);
        }
      }
    }
    return entries;
  }
}

/** A cumulative histogram in the sense of Prometheus. */
export class Histogram {
  readonly bounds: readonly number[];
  /** Of each bucket alone; the last one has no upper bound. */
  readonly counts: number[];
  sum = 0;

  constructor(bounds: readonly number[]) {
    this.bounds = bounds;
    this.counts = new Array(bounds.length + 1).fill(0);
  }

  observe(value: number): void {
    let bucket = 0;
    while (bucket < this.bounds.length && value > (this.bounds[bucket] as number)) bucket++;
    (this.counts[bucket] as number) += 1;
    this.sum += value;
  }
}

/**
 * Counts what happens, for `GET /metrics`. Counting is ours, because prom-client takes twenty times
 * as long for it (0.5 µs a sample) and 50 to 90 ms to load; it is loaded by whoever asks first
 * (`admin/exposition.ts`). No label can be made up by a client.
 */
export class Metrics {
  readonly requests = new RequestTally();
  readonly received = new Tally<RouteKind>();
  readonly sent = new Tally<RouteKind>();
  readonly added = new Map<RouteKind, Histogram>();
  readonly firstByte = new Map<RouteKind, Histogram>();
  readonly codes = new Tally<ErrorCode>();
  readonly interrupted = new Tally<Outcome>(['clientGone', 'upstreamCut', 'shutdown']);
  /** By name of the token; as many as the tokens file holds. */
  readonly clients = new Tally<string>();
  readonly registrations = new Tally<string>([
    'agent registered',
    'agent failed',
    'task registered',
    'task failed',
  ]);
  readonly refreshes = new Tally<string>(['refreshed', 'takenOver', 'refused', 'failed']);
  readonly rejections = new Tally<string>(['task', 'bearer', 'revoked']);
  challenges = 0;
  assertions = 0;

  readonly finished = (record: ExchangeRecord): void => {
    const { kind, code, client } = record;
    this.requests.add(record);
    if (record.bytesUp > 0) this.received.add(kind, record.bytesUp);
    if (record.bytesDown > 0) this.sent.add(kind, record.bytesDown);
    if (code !== null) this.codes.add(code);
    if (client !== null) this.clients.add(client);
    if (record.challenged) this.challenges++;
    // Who watches the events leaves them sooner or later.
    if (record.outcome !== 'complete' && kind !== 'own') this.interrupted.add(record.outcome);
    const { firstByteMs, upstreamMs } = record;
    if (firstByteMs === null) return;
    valueIn(this.firstByte, kind, () => new Histogram(FIRST_BYTE_BOUNDS)).observe(
      firstByteMs / 1000,
    );
    if (upstreamMs === null) return;
    valueIn(this.added, kind, () => new Histogram(ADDED_BOUNDS)).observe(
      (firstByteMs - upstreamMs) / 1000,
    );
  };

  readonly credential = (event: CredentialEvent): void => {
    if (event.type === 'assertionBuilt') this.assertions++;
    else if (event.type === 'registration')
      this.registrations.add(`${event.what} ${event.outcome}`);
    else if (event.type === 'refresh') this.refreshes.add(event.outcome);
    else if (event.type === 'rejection') this.rejections.add(event.kind);
  };
}

/** The value of a key, made where there is none yet. */
export function valueIn<Key, Value>(map: Map<Key, Value>, key: Key, make: () => Value): Value {
  const known = map.get(key);
  if (known !== undefined) return known;
  const value = make();
  map.set(key, value);
  return value;
}
