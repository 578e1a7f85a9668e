import type { TokenUsage } from '../../base/token-usage.ts';
import type { AccountLimits, LimitReport } from '../../telemetry/account-limits.ts';
import type { LimitedBy, OpenExchange } from '../../telemetry/exchange-record.ts';
import type { ServerEventListener } from './server-events.ts';

/** Counts the turns of one exchange. */
export class TurnCounter implements ServerEventListener {
  readonly #exchange: OpenExchange;
  readonly #limits: Pick<AccountLimits, 'observe'>;
  readonly #model: string | null;
  #asked = 0;
  #created = 0;
  #ended = 0;
  #isLost = false;
  #isOver = false;

  /** @param model the one that the head of the response names */
  constructor(
    exchange: OpenExchange,
    limits: Pick<AccountLimits, 'observe'>,
    model: string | null,
  ) {
    this.#exchange = exchange;
    this.#limits = limits;
    this.#model = model;
  }

  get isLost(): boolean {
    return this.#isLost;
  }

  /** The client has sent a message on its WebSocket, or the request of a response. */
  asked(): void {
    this.#asked++;
    if (this.#isLost) this.#tell(null, 'unreadable');
  }

  created(): void {
    this.#created++;
  }

  ended(model: string | null, usage: TokenUsage | null | 'unreadable'): void {
    if (this.#isOver) return;
    this.#ended++;
    this.#tell(model, usage);
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
