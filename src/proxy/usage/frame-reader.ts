import type { FrameSink } from '../websocket/frame-tracker.ts';
import type { DecodingBudget } from './aside-decoder.ts';
import { MessageInflater } from './message-inflater.ts';
import { ServerEvents } from './server-events.ts';
import type { TurnCounter } from './turn-counter.ts';

const FIN = 0x80;
const RSV1 = 0x40;
const RSV2_AND_3 = 0x30;
const OPCODE = 0x0f;
const TEXT = 0x1;
const CONTROL = 0x8;

const NO_WINDOW = 'server_no_context_takeover';

/**
 * Reads the events in the frames that the backend sends. Compressed messages depend on those before
 * them, so that all of them are inflated, many together.
 */
export class FrameReader implements FrameSink {
  readonly #turns: TurnCounter;
  readonly #now: () => number;
  readonly #events: ServerEvents;
  readonly #budget: DecodingBudget;
  readonly #deflates: boolean;
  readonly #keepsWindow: boolean;
  #inflater: MessageInflater | null = null;
  #message: 'plain' | 'compressed' | 'binary' = 'binary';
  #inControl = false;
  #isLast = false;
  #isLost = false;
  /** Whether what is compressed is read soon, and not only when there is much of it. */
  isUrgent = false;

  /** @param extensions those that were agreed on, as the response to the upgrade names them */
  constructor(
    extensions: string | null,
    turns: TurnCounter,
    now: () => number,
    budget: DecodingBudget,
  ) {
    this.#budget = budget;
    this.#turns = turns;
    this.#now = now;
    this.#events = new ServerEvents(turns, now);
    const agreed = (extensions ?? '').toLowerCase().split(';');
    const [name, ...parameters] = agreed.map((part) => part.trim());
    this.#deflates = name === 'permessage-deflate' && !extensions?.includes(',');
    this.#keepsWindow = !parameters.includes(NO_WINDOW);
    if (!this.#deflates && (extensions ?? '').trim() !== '') this.#lose();
  }

  begin(first: number, masked: boolean): void {
    const opcode = first & OPCODE;
    this.#inControl = opcode >= CONTROL;
    if (this.#inControl || this.#isLost) return;
    const compressed = (first & RSV1) !== 0;
    if (masked || (first & RSV2_AND_3) !== 0 || (compressed && !this.#deflates)) {
      this.#lose();
      return;
    }
    this.#isLast = (first & FIN) !== 0;
    if (opcode === 0) return;
    this.#message = compressed ? 'compressed' : opcode === TEXT ? 'plain' : 'binary';
    if (this.#message !== 'plain') return;
    // What came before is read before.
    this.#inflater?.flush();
    this.#events.begin();
  }

  payload(bytes: Buffer, from: number, to: number): void {
    if (this.#inControl || this.#isLost) return;
    if (this.#message === 'compressed') {
      this.#inflater ??= this.#startInflating();
      this.#inflater.push(bytes, from, to);
    } else if (this.#message === 'plain' && !this.#events.isPassingOver) {
      this.#events.push(bytes, from, to);
    }
  }

  end(): void {
    if (this.#inControl || this.#isLost || !this.#isLast) return;
    if (this.#message === 'compressed') this.#inflater?.end(this.isUrgent);
    else if (this.#message === 'plain') this.#endEvent();
  }

  #endEvent(): void {
    try {
      this.#events.end();
    } catch {
      // A defect of whoever is told must not end what is read.
      this.#lose();
    }
  }

  /** Reads what has come. */
  flush(): void {
    this.#inflater?.flush();
  }

  /** null when there is nothing to wait for. */
  finish(): Promise<void> | null {
    return this.#inflater?.finish() ?? null;
  }

  #startInflating(): MessageInflater {
    const events = new ServerEvents(this.#turns, this.#now);
    const decoded = {
      push: (bytes: Buffer) => {
        if (!this.#isLost && !events.pushSideBySide(bytes)) this.#lose();
      },
      lost: () => this.#lose(),
    };
    return new MessageInflater(decoded, this.#keepsWindow, this.#budget);
  }

  #lose(): void {
    if (this.#isLost) return;
    this.#isLost = true;
    this.#turns.lost();
  }
}
