/** The lock could not be taken; the message says why and what to do. */
export class LockError extends Error {
  override readonly name = 'LockError';
  /** Whether another process holds it; false: no lock can be taken here at all. */
  readonly held: boolean;

  constructor(message: string, held: boolean, cause?: unknown) {
    super(message, cause === undefined ? undefined : { cause });
    this.held = held;
  }
}
