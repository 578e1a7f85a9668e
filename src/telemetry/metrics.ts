import { TOKEN_KINDS, UNKNOWN_USAGE } from '../base/token-usage.ts';
import type { CredentialEvent } from './credential-events.ts';
import { type ExchangeRecord, statusClass, type TurnListener } from './exchange-record.ts';
import { Counter, Histogram } from './instruments.ts';
import type { MetricFamily } from './prometheus-text.ts';

export const METRIC_PREFIX = 'codex_auth_sidecar_';

/** Bounds of the time that the sidecar adds; seconds. */
const ADDED_BOUNDS = [
  0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10,
  30,
];
/** Bounds of the time to the first byte, up to the minutes that a model may think; seconds. */
const FIRST_BYTE_BOUNDS = [
  0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300, 600, 1800,
];

/** Bounds of an operation on a database, which is given up after 5 seconds; seconds. */
const STORE_BOUNDS = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5];

interface StoreReport {
  operation: string;
  outcome: string;
  seconds: number;
}

/** The methods that get a label of their own; a client can make up any number of others. */
const METHODS = new Set(['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS']);

/**
 * What the sidecar counts for Prometheus, which reads it at `GET /metrics`. What is read at that
 * moment instead of being counted, such as the state, is in `admin/prometheus.ts`. No label can be
 * made up by a client.
 */
export class Metrics {
  readonly #instruments: (Counter | Histogram)[] = [];

  readonly #requests = this.#counter('requests_total', 'Finished requests', [
    'kind',
    'method',
    'status',
  ]);
  readonly #received = this.#counter(
    'received_bytes_total',
    'Bytes of bodies that came from clients',
    ['kind'],
  );
  readonly #sent = this.#counter('sent_bytes_total', 'Bytes of bodies that went to clients', [
    'kind',
  ]);
  readonly #errors = this.#counter('errors_total', 'Errors that the sidecar itself answered with', [
    'code',
  ]);
  readonly #interrupted = this.#counter(
    'interrupted_total',
    'Proxied exchanges that broke off',
    ['by'],
    [['clientGone'], ['upstreamCut'], ['shutdown'], ['revoked']],
  );
  readonly #clientRequests = this.#counter(
    'client_requests_total',
    'Finished requests by client token',
    ['client'],
  );
  readonly #tokens = this.#counter(
    'tokens_total',
    'Tokens of turns, as the upstream counts them; input includes cached, output includes reasoning',
    ['client', 'model', 'type'],
  );
  readonly #turns = this.#counter('turns_total', 'Turns that told their tokens', [
    'client',
    'model',
  ]);
  readonly #unknownTurns = this.#counter(
    'unknown_turns_total',
    'Turns whose tokens are not known',
    ['reason'],
    UNKNOWN_USAGE.map((reason) => [reason]),
  );
  readonly #limited = this.#counter(
    'rate_limited_total',
    'Turns and requests that the upstream refused because of a limit',
    ['reason'],
    [['quota'], ['other']],
  );
  readonly #challenges = this.#counter(
    'cloudflare_challenges_total',
    'Responses that were a challenge',
  );
  readonly #added = this.#histogram(
    'added_latency_seconds',
    'Time to the first byte without what the upstream took',
    ADDED_BOUNDS,
  );
  readonly #firstByte = this.#histogram(
    'time_to_first_byte_seconds',
    "Time to the first byte of the upstream's response",
    FIRST_BYTE_BOUNDS,
  );
  readonly #assertions = this.#counter('assertions_total', 'Assertions built and signed');
  readonly #registrations = this.#counter(
    'registrations_total',
    'Registrations',
    ['what', 'outcome'],
    [
      ['agent', 'registered'],
      ['agent', 'failed'],
      ['task', 'registered'],
      ['task', 'failed'],
      ['instance', 'registered'],
      ['instance', 'failed'],
    ],
  );
  readonly #refreshes = this.#counter(
    'refreshes_total',
    'Refreshes of the ChatGPT login',
    ['outcome'],
    [['refreshed'], ['takenOver'], ['refused'], ['failed'], ['uncertain']],
  );
  readonly #storeOperations = this.#counter(
    'store_operations_total',
    'Operations on the database of a shared store',
    ['operation', 'outcome'],
  );
  readonly #storeSeconds = this.#histogram(
    'store_operation_seconds',
    'Time of an operation on the database of a shared store',
    STORE_BOUNDS,
    'operation',
  );
  readonly #rejections = this.#counter(
    'rejections_total',
    'Refusals of the credential upstream',
    ['class'],
    [['task'], ['bearer'], ['revoked']],
  );

  get families(): MetricFamily[] {
    return this.#instruments.map(({ family }) => family);
  }

  readonly finished = (record: ExchangeRecord): void => {
    const { kind, method, status, code, client, outcome } = record;
    const known = method !== null && METHODS.has(method) ? method : 'other';
    this.#requests.add(1, kind, known, statusClass(status));
    if (record.bytesUp > 0) this.#received.add(record.bytesUp, kind);
    if (record.bytesDown > 0) this.#sent.add(record.bytesDown, kind);
    if (code !== null) this.#errors.add(1, code);
    if (client !== null) this.#clientRequests.add(1, client);
    if (record.challenged) this.#challenges.add(1);
    // A client that watches the events always leaves at some point.
    if (outcome !== 'complete' && kind !== 'own') this.#interrupted.add(1, outcome);
    this.#observeTimes(record);
  };

  readonly turns: TurnListener = {
    turn: (client, { model, usage, unknown }) => {
      if (unknown) this.#unknownTurns.add(1, unknown);
      if (!usage) return;
      // Whoever needs no token has no name, and an empty label is none to Prometheus.
      const labels = [client ?? '', model ?? 'unknown'];
      this.#turns.add(1, ...labels);
      for (const kind of TOKEN_KINDS) this.#tokens.add(usage[kind], ...labels, kind);
    },
    limited: (reason) => this.#limited.add(1, reason),
  };

  readonly credential = (event: CredentialEvent): void => {
    if (event.type === 'assertionBuilt') this.#assertions.add(1);
    else if (event.type === 'registration') this.#registrations.add(1, event.what, event.outcome);
    else if (event.type === 'refresh') this.#refreshes.add(1, event.outcome);
    else if (event.type === 'rejection') this.#rejections.add(1, event.kind);
  };

  /** What a shared store reports of each operation; all its words are our own. */
  readonly storeOperation = (reported: StoreReport): void => {
    const { operation, outcome, seconds } = reported;
    this.#storeOperations.add(1, operation, outcome);
    this.#storeSeconds.observe(seconds, operation);
  };

  #observeTimes({ kind, firstByteMs, upstreamMs }: ExchangeRecord): void {
    if (firstByteMs === null) return;
    this.#firstByte.observe(firstByteMs / 1000, kind);
    if (upstreamMs === null) return;
    this.#added.observe((firstByteMs - upstreamMs) / 1000, kind);
  }

  /** @param known label values that are shown before they are counted */
  #counter(name: string, help: string, labelNames: string[] = [], known: string[][] = []): Counter {
    const counter = new Counter(METRIC_PREFIX + name, help, labelNames, known);
    this.#instruments.push(counter);
    return counter;
  }

  #histogram(name: string, help: string, bounds: readonly number[], labelName = 'kind'): Histogram {
    const histogram = new Histogram(METRIC_PREFIX + name, help, [labelName], bounds);
    this.#instruments.push(histogram);
    return histogram;
  }
}
