import type { IncomingMessage } from 'node:http';
import { type Readable, Transform, type TransformCallback } from 'node:stream';
import { SidecarError } from '../base/errors.ts';
import type { Client } from '../clients/client-tokens.ts';
import { allowsModel } from '../clients/limits.ts';
import { DecodedTooLargeError } from '../upstream/content-coding.ts';
import { type Decoder, openDecoder } from '../upstream/stream-decoder.ts';
import { ModelScanner, UnclearModelError } from './model-scanner.ts';

/** A body goes upstream before its model was seen only when it is longer than this; bytes. */
const HEAD_BYTES = 64 * 1024;

/** A request body that is judged while it passes. */
export interface JudgedBody {
  content: Readable;
  /**
   * Resolves when the model is known and allowed, or does not come in the head of the body; then it
   * is judged on the way, and a body that names a wrong one is broken off before its end.
   * @throws SidecarError AUTH_MODEL_DENIED
   */
  head: Promise<void>;
}

/**
 * Lets a request body pass only as far as it names a model that the client may use. A body without a
 * model would get whatever the backend takes for one, so it is refused.
 * @param mostBytes of a compressed body after decoding
 * @throws SidecarError AUTH_MODEL_DENIED when the body cannot be read here
 */
export function judgeModel(
  request: IncomingMessage,
  client: Client,
  mostBytes: number,
): JudgedBody {
  const coding = request.headers['content-encoding'] ?? 'identity';
  const scanner = new ModelScanner();
  const decoder = openDecoder(coding, mostBytes, (decoded) => scanner.push(decoded));
  if (!decoder) {
    throw denied(
      client,
      `a body with the content-encoding ${coding} cannot be read${remedy(coding)}; send it without`,
    );
  }
  const gate = new ModelGate(client, decoder, scanner);
  request.pipe(gate);
  request.once('close', () => {
    // Cut off in the middle; a whole one has ended the gate already.
    if (!gate.writableEnded) gate.destroy(new Error('the client broke off its body'));
  });
  // The rest is read, so that the client gets its response.
  gate.once('error', () => request.unpipe(gate).resume());
  return { content: gate, head: gate.head };
}

/** Codex compresses its bodies with zstd where it has a ChatGPT login. */
function remedy(coding: string): string {
  return coding.trim().toLowerCase() === 'zstd'
    ? ' before Node.js 22.15; run the sidecar with a later one'
    : '';
}

class ModelGate extends Transform {
  readonly head: Promise<void>;
  readonly #client: Client;
  readonly #decoder: Decoder;
  readonly #scanner: ModelScanner;
  /** Judged, and held back until what follows is judged as well: the end is judged before it goes. */
  #held: Buffer | null = null;
  #passed = 0;
  #settle: (error?: Error) => void = () => undefined;

  constructor(client: Client, decoder: Decoder, scanner: ModelScanner) {
    super({ readableHighWaterMark: HEAD_BYTES });
    this.#client = client;
    this.#decoder = decoder;
    this.#scanner = scanner;
    this.head = new Promise((resolve, reject) => {
      this.#settle = (error) => (error ? reject(error) : resolve());
    });
    // It is also the error of the stream.
    this.head.catch(() => undefined);
    this.once('error', (error) =>
      // A client that has left is noticed elsewhere.
      this.#settle(error instanceof SidecarError ? error : undefined),
    );
  }

  override _transform(chunk: Buffer, _encoding: string, done: TransformCallback): void {
    this.#judge(
      () => this.#decoder.write(chunk),
      () => {
        const next = this.#held;
        this.#held = chunk;
        this.#passed += chunk.length;
        if (this.#scanner.model !== null || this.#passed >= HEAD_BYTES) this.#settle();
        done(null, next ?? undefined);
      },
      done,
    );
  }

  override _flush(done: TransformCallback): void {
    this.#judge(
      () => this.#decoder.end(),
      () => {
        this.#checkEnd();
        this.#settle();
        done(null, this.#held ?? undefined);
      },
      done,
    );
  }

  override _destroy(error: Error | null, done: (error: Error | null) => void): void {
    this.#decoder.destroy();
    done(error);
  }

  #judge(decode: () => Promise<void>, passed: () => void, failed: TransformCallback): void {
    decode()
      .then(() => {
        const { model } = this.#scanner;
        const { models } = this.#client.limits ?? {};
        if (model !== null && models && !allowsModel(models, model)) {
          throw denied(
            this.#client,
            `it may use ${models.join(', ')}, and not ${model.slice(0, 128)}`,
          );
        }
        passed();
      })
      .catch((error: unknown) => failed(this.#explain(error)));
  }

  #checkEnd(): void {
    if (!this.#scanner.isComplete) throw new UnclearModelError('it is not a whole JSON object');
    if (this.#scanner.model === null) {
      throw new UnclearModelError('it names no model');
    }
  }

  #explain(error: unknown): Error {
    if (error instanceof SidecarError) return error;
    const isClear = error instanceof UnclearModelError || error instanceof DecodedTooLargeError;
    const problem = isClear ? error.message : 'it cannot be decoded';
    return denied(
      this.#client,
      `the body does not say for sure which model it asks for: ${problem}`,
    );
  }
}

function denied({ name }: Client, why: string): SidecarError {
  return new SidecarError(
    'AUTH_MODEL_DENIED',
    `the client token "${name}" is limited to models: ${why}`,
  );
}
