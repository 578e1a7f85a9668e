import type { Clock } from '../../base/clock.ts';
import type { Client } from '../../clients/client-tokens.ts';
import { hasTokenLimit, mustReadSocket } from '../../clients/limits.ts';
import type { InboundRequest } from '../../inbound/request-context.ts';
import { type AccountLimits, limitsInHeaders } from '../../telemetry/account-limits.ts';
import type { ResponseHead } from '../response-head.ts';
import { isInference, isReading } from '../routes.ts';
import { DecodingBudget } from './aside-decoder.ts';
import { type BodyReader, bodyReader } from './body-reader.ts';
import { FrameReader } from './frame-reader.ts';
import { type TurnChange, TurnCounter } from './turn-counter.ts';

/** What reads a WebSocket. */
export interface SocketReading {
  frames: FrameReader;
  turns: TurnCounter;
}

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
    const isTurn = !isReading(exchange.method) && isInference(path);
    const reader = bodyReader(isTurn, head, turns, this.#now, this.#budget);
    exchange.reading = reader && new TurnReading(reader, turns);
    return reader;
  }

  /**
   * @param onChange called when a turn has begun or ended
   * @returns what looks at the frames of a WebSocket; null when nothing does
   */
  frames(
    { exchange, client }: InboundRequest,
    { header }: Pick<ResponseHead, 'header'>,
    onChange: (what: TurnChange) => void,
  ): SocketReading | null {
    if (!this.#enabled && !mustReadSocket(client?.limits ?? null)) return null;
    const turns = new TurnCounter(exchange, this.#limits, null, onChange);
    const extensions = header('sec-websocket-extensions');
    const frames = new FrameReader(extensions, turns, this.#now, this.#budget);
    exchange.reading = new TurnReading(frames, turns);
    return { frames, turns };
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

  end(): Promise<void> | null {
    const rest = this.#reader.finish();
    if (rest) return rest.then(() => this.#turns.over());
    this.#turns.over();
    return null;
  }
}
