import type { FrameSink } from '../websocket/frame-tracker.ts';
import { AsideDecoder, type DecodingBudget, inflater } from './aside-decoder.ts';
import { ServerEvents } from './server-events.ts';
import type { TurnCounter } from './turn-counter.ts';

const FIN = 0x80;
const RSV1 = 0x40;
const RSV2_AND_3 = 0x30;
const OPCODE = 0x0f;
const TEXT = 0x1;
const CONTROL = 0x8;

/** What each compressed message ends with, and senders leave out (RFC 7692, section 7.2.1). */
const END_OF_MESSAGE = Buffer.from([0x00, 0x00, 0xff, 0xff]);

/**
 * Reads the events in the frames that the backend sends. Compressed messages depend on those before
 * them, so that all of them are inflated, aside and many together.
 */
export class FrameReader implements FrameSink {
  readonly #turns: TurnCounter;
  readonly #now: () => number;
  readonly #events: ServerEvents;
  readonly #budget: DecodingBudget;
  readonly #deflates: boolean;
  #decoder: AsideDecoder | null = null;
  #message: 'plain' | 'compressed' | 'binary' = 'binary';
  #inControl = false;
  #isLast = false;
  #isLost = false;

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
    const names = (extensions ?? '').split(',').map((entry) => entry.split(';', 1)[0]?.trim());
    this.#deflates = names.length === 1 && names[0] === 'permessage-deflate';
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
    if (this.#message === 'plain') this.#events.begin();
  }

  payload(bytes: Buffer, from: number, to: number): void {
    if (this.#inControl || this.#isLost) return;
    if (this.#message === 'compressed') this.#compressed(bytes, from, to);
    else if (this.#message === 'plain' && !this.#events.isPassingOver) {
      this.#events.push(bytes, from, to);
    }
  }

  end(): void {
    if (this.#inControl || this.#isLost || !this.#isLast) return;
    if (this.#message === 'compressed') {
      this.#compressed(END_OF_MESSAGE, 0, END_OF_MESSAGE.length);
    } else if (this.#message === 'plain') this.#endEvent();
  }

  #endEvent(): void {
    try {
      this.#events.end();
    } catch {
      // A defect of whoever is told must not end what is read.
      this.#lose();
    }
  }

  /** The client has spoken, so that the turn before is over. */
  flush(): void {
    this.#decoder?.flush();
  }

  /** null when there is nothing to wait for. */
  finish(): Promise<void> | null {
    return this.#decoder?.finish() ?? null;
  }

  #compressed(bytes: Buffer, from: number, to: number): void {
    this.#decoder ??= this.#startInflating();
    this.#decoder.push(bytes, from, to);
  }

  #startInflating(): AsideDecoder {
    const events = new ServerEvents(this.#turns, this.#now);
    const decoded = {
      push: (bytes: Buffer) => {
        if (!this.#isLost && !events.pushSideBySide(bytes)) this.#lose();
      },
      lost: () => this.#lose(),
    };
    return new AsideDecoder(inflater(), decoded, this.#budget);
  }

  #lose(): void {
    if (this.#isLost) return;
    this.#isLost = true;
    this.#turns.lost();
  }
}
