import type { Clock, MonotonicClock } from '../base/clock.ts';
import { type ErrorCode, errorBody, type SidecarError } from '../base/errors.ts';
import { addTokens, type FinishedTurn, type TokenUsage } from '../base/token-usage.ts';
import type { RouteAuth } from '../config/resolve.ts';
import { ModelNames } from './model-names.ts';

/**
 * What a request was for: the auth kind of its route (`deny` also where no rule matches), `own` for
 * the sidecar's endpoints, `unmatched` when it was refused before its route counted.
 */
type RouteKind = RouteAuth | 'own' | 'unmatched';

/**
 * How an exchange ended: whole, left by the client, broken off upstream, cut by our shutdown, or cut
 * because its client may no longer call.
 */
export type Outcome = 'complete' | 'clientGone' | 'upstreamCut' | 'shutdown' | 'revoked';

/** One finished exchange with a client, HTTP or upgrade, proxied or answered here. */
export interface ExchangeRecord {
  /** Name of the client token; null where none was needed, or it was refused. */
  readonly client: string | null;
  /** As the client sent it; null when what came was not HTTP. */
  readonly method: string | null;
  /** Without the query; in normal form once the request has passed the access rules. */
  readonly path: string | null;
  readonly kind: RouteKind;
  /** null when the client was gone before any response. */
  readonly status: number | null;
  readonly upgrade: boolean;
  /** Milliseconds since the epoch. */
  readonly startedAt: number;
  readonly durationMs: number;
  /** From the start until the first byte of the upstream's response goes to the client. */
  readonly firstByteMs: number | null;
  /** The upstream's share of it, all tries together; the sidecar added the rest. */
  readonly upstreamMs: number | null;
  /** Bodies only; for an upgraded connection everything after the handshake. */
  readonly bytesUp: number;
  readonly bytesDown: number;
  /** The upstream's own id of the request. */
  readonly upstreamRequestId: string | null;
  /** The upstream (Cloudflare) demanded a browser challenge in place of a response. */
  readonly challenged: boolean;
  /** The sidecar's own error, if it answered with one. */
  readonly code: ErrorCode | null;
  readonly outcome: Outcome;
  /** The model of the last turn; null when there was none, or it was not read. */
  readonly model: string | null;
  /** Tokens of all turns that told them; null when none did. */
  readonly tokens: TokenUsage | null;
}

/** Why the upstream responded with 429: the quota of the account is used up, or something else. */
export type LimitedBy = 'quota' | 'other';

/** Looks at a response while it passes. */
interface Reading {
  /** Nothing more will come. @returns null, or a promise when the last bytes are still being read */
  end(): Promise<void> | null;
}

/** Where open exchanges report their turns. */
interface TurnLog {
  /** @returns the name under which the model is counted */
  turn(client: string | null, turn: FinishedTurn): string;
  limited(reason: LimitedBy): void;
}

const STATUS_CLASSES = ['none', '1xx', '2xx', '3xx', '4xx', '5xx', '6xx', '7xx', '8xx', '9xx'];

/** `2xx` and so on; `none` when the client was gone before any response. */
export function statusClass(status: number | null): string {
  return STATUS_CLASSES[Math.floor((status ?? 0) / 100)] ?? 'none';
}

export type ExchangeListener = (record: ExchangeRecord) => void;

/** What is told of turns before their exchange ends, which for a WebSocket may take an hour. */
export interface TurnListener {
  turn(client: string | null, turn: FinishedTurn): void;
  limited(reason: LimitedBy): void;
}

/** What is known of an exchange while it runs; becomes its record. */
export class OpenExchange implements ExchangeRecord {
  client: string | null = null;
  path: string | null = null;
  kind: RouteKind = 'unmatched';
  status: number | null = null;
  startedAt = 0;
  durationMs = 0;
  firstByteMs: number | null = null;
  upstreamMs: number | null = null;
  bytesDown = 0;
  upstreamRequestId: string | null = null;
  challenged = false;
  code: ErrorCode | null = null;
  /** Counts the request body as it passes. */
  body: { readonly size: number } | null = null;
  /** Bytes that have passed a joined upgrade so far, up and down; null until it is joined. */
  passed: (() => { up: number; down: number }) | null = null;
  /** null: decided at the end, by whether the whole response went out. */
  ending: Outcome | null = null;
  outcome: Outcome = 'complete';
  model: string | null = null;
  tokens: TokenUsage | null = null;
  /** What reads the response; null while nothing does. */
  reading: Reading | null = null;
  finished = false;
  /** Ends the exchange; may be called more than once, the first call counts. */
  end: () => void = () => undefined;
  /**
   * Breaks the exchange off because its client may no longer call, at the next boundary of a message
   * where there are messages. May be called more than once.
   * @param reason what a client is told that has no response yet
   */
  cut: (reason: SidecarError) => void = () => undefined;
  #afterwards: (() => void)[] | null = null;
  readonly method: string | null;
  readonly upgrade: boolean;
  readonly #monotonicNow: MonotonicClock;
  readonly #log: TurnLog | null;
  readonly #start: number;
  #sentAt: number | null = null;

  constructor(
    method: string | null,
    upgrade: boolean,
    monotonicNow: MonotonicClock,
    log: TurnLog | null = null,
  ) {
    this.method = method;
    this.upgrade = upgrade;
    this.#monotonicNow = monotonicNow;
    this.#log = log;
    this.#start = monotonicNow();
  }

  get bytesUp(): number {
    return this.body?.size ?? 0;
  }

  /** A try goes upstream. */
  sent(): void {
    this.#sentAt = this.#monotonicNow();
  }

  /** The upstream has answered that try. */
  answered(): void {
    if (this.#sentAt === null) return;
    this.upstreamMs = (this.upstreamMs ?? 0) + this.#monotonicNow() - this.#sentAt;
    this.#sentAt = null;
  }

  /** The upstream's response goes to the client. */
  begun(): void {
    this.answered();
    this.firstByteMs = this.#monotonicNow() - this.#start;
  }

  /** A turn of this exchange has ended. */
  turn(turn: FinishedTurn): void {
    this.model = this.#log?.turn(this.client, turn) ?? null;
    if (turn.usage) this.tokens = addTokens(this.tokens, turn.usage);
  }

  /** The upstream refused a turn because of some limit. */
  limited(reason: LimitedBy): void {
    this.#log?.limited(reason);
  }

  /** Has `task` called when the exchange is over. */
  whenFinished(task: () => void): void {
    this.#afterwards ??= [];
    this.#afterwards.push(task);
  }

  runAfterwards(): void {
    for (const task of this.#afterwards ?? []) task();
    this.#afterwards = null;
  }

  stop(): void {
    this.durationMs = this.#monotonicNow() - this.#start;
  }
}

/** Makes one record of each exchange and hands it to everyone who counts it or writes it down. */
export class ExchangeLog {
  readonly #now: Clock;
  readonly #monotonicNow: MonotonicClock;
  readonly #listeners: ExchangeListener[] = [];
  readonly #turnListeners: TurnListener[] = [];
  readonly #models = new ModelNames();
  /** From now on, responses that break off do so because of us. */
  shuttingDown = false;

  constructor(now: Clock, monotonicNow: MonotonicClock) {
    this.#now = now;
    this.#monotonicNow = monotonicNow;
  }

  add(listener: ExchangeListener): void {
    this.#listeners.push(listener);
  }

  addTurns(listener: TurnListener): void {
    this.#turnListeners.push(listener);
  }

  begin(method: string | null, upgrade: boolean): OpenExchange {
    return new OpenExchange(method, upgrade, this.#monotonicNow, this.#turnLog);
  }

  /** Records something that is refused before it becomes a request of Fastify. */
  refused(method: string | null, error: SidecarError): void {
    const exchange = this.begin(method, false);
    exchange.status = error.statusCode;
    exchange.code = error.code;
    exchange.bytesDown = Buffer.byteLength(JSON.stringify(errorBody(error)));
    this.finish(exchange, true);
  }

  /** @param whole the whole response went out */
  finish(exchange: OpenExchange, whole: boolean): void {
    exchange.finished = true;
    exchange.stop();
    exchange.startedAt = Math.round(this.#now() - exchange.durationMs);
    exchange.outcome = exchange.ending ?? (whole ? 'complete' : 'clientGone');
    const isCut = exchange.status === 101 || exchange.outcome !== 'complete';
    if (this.shuttingDown && isCut) exchange.outcome = 'shutdown';
    exchange.runAfterwards();
    const rest = exchange.reading?.end() ?? null;
    // At the end of the process nobody waits for the last count.
    if (rest === null || this.shuttingDown) this.#tell(exchange);
    else void rest.then(() => this.#tell(exchange));
  }

  #tell(exchange: OpenExchange): void {
    for (const listen of this.#listeners) listen(exchange);
  }

  readonly #turnLog: TurnLog = {
    turn: (client, turn) => {
      const model = this.#models.bounded(turn.model);
      for (const listener of this.#turnListeners) listener.turn(client, { ...turn, model });
      return model;
    },
    limited: (reason) => {
      for (const listener of this.#turnListeners) listener.limited(reason);
    },
  };
}
