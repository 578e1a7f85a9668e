import type { Clock } from '../../base/clock.ts';
import type { Client } from '../../clients/client-tokens.ts';
import { hasTokenLimit } from '../../clients/limits.ts';
import type { InboundRequest } from '../../inbound/request-context.ts';
import { type AccountLimits, limitsInHeaders } from '../../telemetry/account-limits.ts';
import type { ResponseHead } from '../response-head.ts';
import { isInference } from '../routes.ts';
import type { FrameSink } from '../websocket/frame-tracker.ts';
import type { FrameSinks } from '../websocket/tunnel.ts';
import { DecodingBudget } from './aside-decoder.ts';
import { type BodyReader, bodyReader } from './body-reader.ts';
import { FrameReader } from './frame-reader.ts';
import { TurnCounter } from './turn-counter.ts';

/** Reads the usage of tokens and the limits of the account out of the responses that pass. */
export class UsageReading {
  readonly #limits: Pick<AccountLimits, 'observe'>;
  readonly #now: Clock;
  readonly #enabled: boolean;
  readonly #budget = new DecodingBudget();

  /**
   * @param enabled whether bodies are looked at; headers are in any case, and bodies of clients with
   *   a limit of tokens too
   */
  constructor(limits: Pick<AccountLimits, 'observe'>, now: Clock, enabled: boolean) {
    this.#limits = limits;
    this.#now = now;
    this.#enabled = enabled;
  }

  headers({ parsed }: Pick<ResponseHead, 'parsed'>): void {
    for (const report of limitsInHeaders(parsed, this.#now())) this.#limits.observe(report);
  }

  /** @returns what looks at the body of this response; null when nothing does */
  body({ exchange, client }: InboundRequest, path: string, head: ResponseHead): BodyReader | null {
    if (!this.#reads(client)) return null;
    const turns = new TurnCounter(exchange, this.#limits, head.header('openai-model'));
    const isTurn = exchange.method === 'POST' && isInference(path);
    const reader = bodyReader(isTurn, head, turns, this.#now, this.#budget);
    exchange.reading = reader && new TurnReading(reader, turns);
    return reader;
  }

  /** @returns what looks at the frames of a WebSocket; null when nothing does */
  frames(
    { exchange, client }: InboundRequest,
    { header }: Pick<ResponseHead, 'header'>,
  ): FrameSinks | null {
    if (!this.#reads(client)) return null;
    const turns = new TurnCounter(exchange, this.#limits, null);
    const extensions = header('sec-websocket-extensions');
    const down = new FrameReader(extensions, turns, this.#now, this.#budget);
    exchange.reading = new TurnReading(down, turns);
    const asked = () => {
      turns.asked();
      down.flush();
    };
    return { up: new MessageWatch(asked), down };
  }

  #reads(client: Client | null): boolean {
    return this.#enabled || hasTokenLimit(client?.limits ?? null);
  }
}

/** The turns of one exchange, and what reads them. */
class TurnReading {
  readonly #reader: Pick<BodyReader, 'finish'>;
  readonly #turns: TurnCounter;

  constructor(reader: Pick<BodyReader, 'finish'>, turns: TurnCounter) {
    this.#reader = reader;
    this.#turns = turns;
  }

  get isLost(): boolean {
    return this.#turns.isLost;
  }

  end(): Promise<void> | null {
    const rest = this.#reader.finish();
    if (rest) return rest.then(() => this.#turns.over());
    this.#turns.over();
    return null;
  }
}

const CONTROL = 0x8;

/** Notices where a message begins. */
class MessageWatch implements FrameSink {
  readonly #began: () => void;

  constructor(began: () => void) {
    this.#began = began;
  }

  begin(first: number): void {
    const opcode = first & 0x0f;
    if (opcode !== 0 && opcode < CONTROL) this.#began();
  }

  payload(): void {}

  end(): void {}
}
