import { isObject } from '../../base/json.ts';
import { type TokenUsage, turnUsage, type UnknownUsage } from '../../base/token-usage.ts';
import {
  type LimitReport,
  limitsInEvent,
  limitsInHeaders,
} from '../../telemetry/account-limits.ts';
import type { LimitedBy } from '../../telemetry/exchange-record.ts';
import { JsonFields, wantedFields } from './json-fields.ts';
import { passSideBySide, peek } from './usual-event.ts';

/** What the events of the backend tell about usage and limits. */
export interface ServerEventListener {
  /** A turn has begun. */
  created(): void;
  /**
   * @param usage null when the backend counted nothing, or nothing that can be read
   * @param unknown why that is not all that the turn took; null when it is
   */
  ended(model: string | null, usage: TokenUsage | null, unknown: UnknownUsage | null): void;
  /** The backend tells an error, which answers a message, or stands for the end of a turn. */
  failed(): void;
  /** After an error, an event of a turn that goes on. */
  continued(): void;
  limits(report: LimitReport): void;
  /** The backend refuses a turn because of some limit. */
  limited(reason: LimitedBy): void;
}

const ENDS = new Set(['response.completed', 'response.incomplete', 'response.failed']);
const FIELDS = wantedFields(
  'type',
  'response.model',
  'response.usage',
  'response.tool_usage',
  'rate_limits',
  'metered_limit_name',
  'limit_name',
  'status',
  'status_code',
  'error.type',
  'error.code',
  'headers',
);

/**
 * Reads the events of the Responses API, one after the other. Nearly all of them are deltas, which are
 * told by their first bytes and cost next to nothing.
 */
export class ServerEvents {
  readonly #listener: ServerEventListener;
  readonly #nowMs: () => number;
  readonly #fields = new JsonFields(FIELDS);
  #isAfterError = false;
  #looking: 'at first bytes' | 'at all' | 'away' = 'at first bytes';

  constructor(listener: ServerEventListener, nowMs: () => number) {
    this.#listener = listener;
    this.#nowMs = nowMs;
  }

  /** Whether the rest of this event is of no interest. */
  get isPassingOver(): boolean {
    return this.#looking === 'away';
  }

  /** The next bytes belong to another event. */
  begin(): void {
    if (this.#looking === 'at all') this.#fields.reset();
    this.#looking = 'at first bytes';
  }

  push(bytes: Buffer, from: number, to: number): void {
    if (this.#looking === 'at first bytes') this.#looking = this.#peek(bytes, from, to);
    if (this.#looking === 'at all') this.#fields.push(bytes, from, to);
  }

  /** The event is here as a whole. */
  end(): void {
    if (this.#looking === 'at all') this.#tell();
    this.begin();
  }

  /**
   * Reads events that stand side by side, without anything between them.
   * @returns whether they can be told apart
   */
  pushSideBySide(bytes: Buffer): boolean {
    let at = 0;
    while (at < bytes.length) {
      if (this.#fields.state === 'before') at = this.#passSideBySide(bytes, at);
      this.#looking = 'at all';
      at = this.#fields.push(bytes, at, bytes.length);
      if (this.#fields.state === 'broken') return false;
      if (this.#fields.state === 'whole') this.end();
    }
    return true;
  }

  #passSideBySide(bytes: Buffer, from: number): number {
    const at = passSideBySide(bytes, from);
    if (at > from) this.#goOn();
    return at;
  }

  #peek(bytes: Buffer, from: number, to: number): 'at all' | 'away' {
    const kind = peek(bytes, from, to);
    if (kind === null || kind === 'end') return 'at all';
    if (kind === 'created') this.#listener.created();
    else this.#goOn();
    return 'away';
  }

  #goOn(): void {
    if (this.#isAfterError) this.#listener.continued();
    this.#isAfterError = false;
  }

  #tell(): void {
    const type = this.#read('type');
    if (this.#fields.state !== 'whole') {
      if (typeof type === 'string' && ENDS.has(type))
        this.#listener.ended(null, null, 'unreadable');
    } else if (type === 'response.created') this.#listener.created();
    else if (type === 'codex.rate_limits') this.#tellLimits();
    else if (type === 'error') this.#tellError();
    else if (typeof type === 'string' && ENDS.has(type)) this.#tellEnd();
    else if (typeof type === 'string' && type.startsWith('response.')) this.#goOn();
  }

  #tellEnd(): void {
    const model = this.#read('response.model');
    const named = typeof model === 'string' ? model : null;
    const { usage, unknown } = turnUsage(
      () => this.#fields.value('response.usage'),
      () => this.#fields.value('response.tool_usage'),
    );
    this.#listener.ended(named, usage, unknown);
  }

  #tellLimits(): void {
    const name = this.#read('metered_limit_name') ?? this.#read('limit_name');
    const report = limitsInEvent(this.#read('rate_limits'), name);
    if (report) this.#listener.limits(report);
  }

  /** An error of a WebSocket stands for a response with this status, and brings its headers. */
  #tellError(): void {
    this.#listener.failed();
    this.#isAfterError = true;
    const headers = this.#read('headers');
    const known = isObject(headers) ? withTexts(headers) : {};
    for (const report of limitsInHeaders(known, this.#nowMs())) this.#listener.limits(report);
    const status = this.#read('status') ?? this.#read('status_code');
    if (status !== 429) return;
    this.#listener.limited(limitedBy(this.#read('error.type'), this.#read('error.code')));
  }

  /** undefined also for what is too long, or not JSON. */
  #read(path: string): unknown {
    try {
      return this.#fields.value(path);
    } catch {
      return undefined;
    }
  }
}

/** Why a backend that names this error has responded with 429. */
export function limitedBy(...names: unknown[]): LimitedBy {
  return names.includes('usage_limit_reached') ? 'quota' : 'other';
}

function withTexts(headers: Record<string, unknown>): Record<string, string> {
  const entries = Object.entries(headers).map(([name, value]) => [
    name.toLowerCase(),
    String(value),
  ]);
  return Object.fromEntries(entries);
}
