import type { TokenUsage, UnknownUsage } from '../../base/token-usage.ts';
import type { AccountLimits, LimitReport } from '../../telemetry/account-limits.ts';
import type { LimitedBy, OpenExchange } from '../../telemetry/exchange-record.ts';
import type { ServerEventListener } from './server-events.ts';

/** What has become of a turn. */
export type TurnChange = 'created' | 'ended';

/** Counts the turns of one exchange. */
export class TurnCounter implements ServerEventListener {
  readonly #exchange: OpenExchange;
  readonly #limits: Pick<AccountLimits, 'observe'>;
  readonly #model: string | null;
  readonly #onChange: ((what: TurnChange) => void) | null;
  #asked = 0;
  #created = 0;
  #ended = 0;
  /** Messages that the backend answered with an error, and turns that ended with nothing else. */
  #refused = 0;
  #brokenOff = 0;
  /** An error came in a turn: a last event may follow. */
  #isBreakingOff = false;
  #isLost = false;
  #isOver = false;

  /**
   * @param model the one that the head of the response names
   * @param onChange called when a turn has begun or ended
   */
  constructor(
    exchange: OpenExchange,
    limits: Pick<AccountLimits, 'observe'>,
    model: string | null,
    onChange: ((what: TurnChange) => void) | null = null,
  ) {
    this.#exchange = exchange;
    this.#limits = limits;
    this.#model = model;
    this.#onChange = onChange;
  }

  get isLost(): boolean {
    return this.#isLost;
  }

  /** Turns that have begun and not ended. */
  get open(): number {
    const breakingOff = this.#isBreakingOff ? 1 : 0;
    return Math.max(0, this.#created - this.#ended - this.#brokenOff - breakingOff);
  }

  /** Turns that were asked for and have not ended. */
  get waiting(): number {
    return Math.max(0, this.#asked - this.#ended - this.#brokenOff - this.#refused);
  }

  /** The client has sent a message on its WebSocket, or the request of a response. */
  asked(): void {
    this.#asked++;
    if (this.#isLost) this.#tell(null, null, 'unreadable');
  }

  created(): void {
    if (this.#isBreakingOff) this.#brokenOff++;
    this.#isBreakingOff = false;
    this.#created++;
    this.#onChange?.('created');
  }

  ended(model: string | null, usage: TokenUsage | null, unknown: UnknownUsage | null): void {
    if (this.#isOver) return;
    this.#isBreakingOff = false;
    this.#ended++;
    this.#tell(model, usage, unknown);
    this.#onChange?.('ended');
  }

  failed(): void {
    // It answers a message whose turn has not begun, where there is one.
    if (this.#asked > this.#created + this.#refused) this.#refused++;
    else this.#isBreakingOff = this.open > 0;
    this.#onChange?.('ended');
  }

  limits(report: LimitReport): void {
    this.#limits.observe(report);
  }

  limited(reason: LimitedBy): void {
    this.#exchange.limited(reason);
  }

  /** Nothing more can be read. */
  lost(): void {
    if (this.#isLost || this.#isOver) return;
    this.#isLost = true;
    const open = Math.max(this.#asked - this.#refused, this.#created) - this.#ended;
    for (let i = 0; i < open; i++) this.#tell(null, null, 'unreadable');
  }

  /** Nothing more comes: what has begun and not ended is not known. */
  over(): void {
    if (this.#isOver) return;
    this.#isOver = true;
    if (this.#isLost) return;
    for (let i = this.#ended; i < this.#created; i++) this.#tell(null, null, 'unfinished');
  }

  #tell(model: string | null, usage: TokenUsage | null, unknown: UnknownUsage | null): void {
    this.#exchange.turn({ model: model ?? this.#model, usage, unknown });
  }
}
