import { turnUsage } from '../../base/token-usage.ts';
import type { ResponseHead } from '../response-head.ts';
import { AsideDecoder, type DecodingBudget, decoderOf } from './aside-decoder.ts';
import { EventStream } from './event-stream.ts';
import { JsonFields, wantedFields } from './json-fields.ts';
import { limitedBy, ServerEvents } from './server-events.ts';
import type { TurnCounter } from './turn-counter.ts';

/** Looks at a body as it goes to the client. */
export interface BodyReader {
  push(bytes: Buffer): void;
  /** The body has ended, or breaks off. @returns null when there is nothing to wait for */
  finish(): Promise<void> | null;
}

/** Reads a body from which all codings are taken off. */
abstract class PlainReader implements BodyReader {
  protected readonly turns: TurnCounter;
  #isLost = false;

  constructor(turns: TurnCounter) {
    this.turns = turns;
  }

  protected abstract read(bytes: Buffer): void;

  push(bytes: Buffer): void {
    if (this.#isLost) return;
    try {
      this.read(bytes);
    } catch {
      // A defect of the reading must not end what it reads.
      this.#isLost = true;
      this.lost();
    }
  }

  finish(): null {
    return null;
  }

  /** The codings cannot be taken off, or what is inside cannot be read. */
  lost(): void {
    this.turns.lost();
  }
}

const DOCUMENT_FIELDS = wantedFields('model', 'usage', 'tool_usage', 'status');
const REFUSAL_FIELDS = wantedFields('error.type', 'error.code');

/**
 * @param isTurn whether it is the response to a turn
 * @returns null when the body tells nothing of interest, or cannot be read
 */
export function bodyReader(
  isTurn: boolean,
  head: ResponseHead,
  turns: TurnCounter,
  now: () => number,
  budget: DecodingBudget,
): BodyReader | null {
  const plain = plainReader(isTurn, head, turns, now);
  if (!plain) return null;
  const coding = head.header('content-encoding')?.trim() ?? '';
  if (coding === '' || coding.toLowerCase() === 'identity') return plain;
  const decoder = decoderOf(coding);
  if (decoder) return decoded(plain, new AsideDecoder(decoder, plain, budget));
  plain.lost();
  return null;
}

function decoded(plain: PlainReader, decoder: AsideDecoder): BodyReader {
  return {
    push: (bytes) => decoder.push(bytes, 0, bytes.length),
    finish: () => decoder.finish().then(() => void plain.finish()),
  };
}

function plainReader(
  isTurn: boolean,
  { status, header }: ResponseHead,
  turns: TurnCounter,
  now: () => number,
): PlainReader | null {
  if (status === 429) return new RefusalReader(turns);
  if (status !== 200 || !isTurn) return null;
  turns.asked();
  const type = header('content-type')?.split(';', 1)[0]?.trim().toLowerCase();
  if (type === 'text/event-stream') return new StreamReader(turns, now);
  if (type === 'application/json') return new DocumentReader(turns);
  // Whatever it is, it took something.
  turns.lost();
  return null;
}

/** A response as server-sent events. */
class StreamReader extends PlainReader {
  readonly #stream: EventStream;

  constructor(turns: TurnCounter, now: () => number) {
    super(turns);
    this.#stream = new EventStream(new ServerEvents(turns, now));
  }

  protected override read(bytes: Buffer): void {
    this.#stream.push(bytes);
  }
}

/** A response as one document. */
class DocumentReader extends PlainReader {
  readonly #fields = new JsonFields(DOCUMENT_FIELDS);

  constructor(turns: TurnCounter) {
    super(turns);
    turns.created();
  }

  protected override read(bytes: Buffer): void {
    this.#fields.push(bytes, 0, bytes.length);
  }

  override finish(): null {
    if (this.#fields.state === 'whole') this.#tell();
    return null;
  }

  #tell(): void {
    const model = fieldOf(this.#fields, 'model');
    const named = typeof model === 'string' ? model : null;
    const { usage, unknown } = turnUsage(
      () => this.#fields.value('usage'),
      () => this.#fields.value('tool_usage'),
    );
    // Otherwise the backend goes on by itself, or does not say.
    const isKnown = usage !== null || fieldOf(this.#fields, 'status') === 'failed';
    this.turns.ended(named, usage, isKnown ? unknown : 'unreadable');
  }
}

/** A refusal with 429, whose body says whether the quota of the account is used up. */
class RefusalReader extends PlainReader {
  readonly #fields = new JsonFields(REFUSAL_FIELDS);
  #isTold = false;

  protected override read(bytes: Buffer): void {
    this.#fields.push(bytes, 0, bytes.length);
  }

  override finish(): null {
    if (this.#isTold) return null;
    this.#isTold = true;
    const names = ['error.type', 'error.code'].map((path) => fieldOf(this.#fields, path));
    this.turns.limited(limitedBy(...names));
    return null;
  }

  override lost(): void {
    this.finish();
  }
}

/** undefined also for what is too long, or not JSON. */
function fieldOf(fields: JsonFields, path: string): unknown {
  try {
    return fields.value(path);
  } catch {
    return undefined;
  }
}
