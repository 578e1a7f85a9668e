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
  #created = 0;
  #ended = 0;
  /** Turns that ended with an error and no last event. */
  #brokenOff = 0;
  /** Messages of the client that no turn has begun for; some never have one. */
  #pending = 0;
  /** Nothing has ended since the last message of the client. */
  #isAwaited = true;
  /** An error came while a turn was open. What comes next tells whether it was that turn's. */
  #isInDoubt = false;
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
    return this.#created - this.#ended - this.#brokenOff;
  }

  /** Whether the client may have asked for a turn before the one before has ended. */
  get isAskedAhead(): boolean {
    return this.open + this.#pending > 1;
  }

  /** The client has sent a message on its WebSocket, or the request of a response. */
  asked(): void {
    // What was sent before and has begun nothing was not meant to.
    if (!this.#isAwaited && this.open === 0) this.#pending = 0;
    this.#isAwaited = true;
    this.#pending++;
    if (this.#isLost) this.#tell(null, null, 'unreadable');
  }

  created(): void {
    // Nothing of the turn has come since its error.
    if (this.#isInDoubt) this.#brokenOff++;
    this.#isInDoubt = false;
    this.#begin();
    this.#onChange?.('created');
  }

  ended(model: string | null, usage: TokenUsage | null, unknown: UnknownUsage | null): void {
    if (this.#isOver) return;
    if (this.open === 0) this.#begin();
    this.#isInDoubt = false;
    this.#isAwaited = false;
    this.#ended++;
    this.#tell(model, usage, unknown);
    this.#onChange?.('ended');
  }

  failed(): void {
    this.#isAwaited = false;
    if (this.open > 0) this.#isInDoubt = true;
    else this.#pending = Math.max(0, this.#pending - 1);
  }

  continued(): void {
    if (this.#isInDoubt) this.#pending = Math.max(0, this.#pending - 1);
    this.#isInDoubt = false;
  }

  #begin(): void {
    this.#created++;
    this.#pending = Math.max(0, this.#pending - 1);
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
    const open = this.#created - this.#ended + this.#pending;
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
