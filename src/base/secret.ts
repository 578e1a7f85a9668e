import { inspect } from 'node:util';

const REDACTED = '[redacted]';

/**
 * A string that must not be printed. However JavaScript turns it into text, the result is
 * `[redacted]`; only {@link Secret.reveal} returns the value, where it goes on the wire.
 */
export class Secret {
  readonly #value: string;

  constructor(value: string) {
    this.#value = value;
  }

  /** The value itself. Call this as late as possible and keep no copy. */
  reveal(): string {
    return this.#value;
  }

  equals(other: Secret): boolean {
    return this.#value === other.#value;
  }

  toString(): string {
    return REDACTED;
  }

  toJSON(): string {
    return REDACTED;
  }

  [inspect.custom](): string {
    return REDACTED;
  }
}
