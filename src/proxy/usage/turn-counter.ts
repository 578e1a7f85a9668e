import type { TokenUsage } from '../../base/token-usage.ts';
import type { AccountLimits, LimitReport } from '../../telemetry/account-limits.ts';
import type { LimitedBy, OpenExchange } from '../../telemetry/exchange-record.ts';
import type { ServerEventListener } from './server-events.ts';

/** Counts the turns of one exchange. */
export class TurnCounter implements ServerEventListener {
  readonly #exchange: OpenExchange;
  readonly #limits: Pick<AccountLimits, 'observe'>;
  readonly #model: string | null;
  readonly #onChange: (() => void) | null;
  #asked = 0;
  #created = 0;
  #ended = 0;
  /** Errors, each of which stands for the end of a turn; and those of them that came in one. */
  #failed = 0;
  #failedInside = 0;
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
    onChange: (() => void) | null = null,
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
    return Math.max(0, this.#created - this.#ended - this.#failedInside);
  }

  /** Turns that were asked for and have not ended. */
  get waiting(): number {
    return Math.max(0, this.#asked - this.#ended - this.#failed);
  }

  /** The client has sent a message on its WebSocket, or the request of a response. */
  asked(): void {
    this.#asked++;
    if (this.#isLost) this.#tell(null, 'unreadable');
  }

  created(): void {
    this.#created++;
    this.#onChange?.();
  }

  ended(model: string | null, usage: TokenUsage | null | 'unreadable'): void {
    if (this.#isOver) return;
    this.#ended++;
    this.#tell(model, usage);
    this.#onChange?.();
  }

  failed(): void {
    if (this.open > 0) this.#failedInside++;
    this.#failed++;
    this.#onChange?.();
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
    const open = Math.max(this.#asked, this.#created) - this.#ended;
    for (let i = 0; i < open; i++) this.#tell(null, 'unreadable');
  }

  /** Nothing more comes: what has begun and not ended is not known. */
  over(): void {
    if (this.#isOver) return;
    this.#isOver = true;
    if (this.#isLost) return;
    for (let i = this.#ended; i < this.#created; i++) this.#tell(null, 'unfinished');
  }

  #tell(model: string | null, usage: TokenUsage | null | 'unreadable' | 'unfinished'): void {
    const unknown = typeof usage === 'string' ? usage : null;
    this.#exchange.turn({
      model: model ?? this.#model,
      usage: typeof usage === 'string' ? null : usage,
      unknown,
    });
  }
}
