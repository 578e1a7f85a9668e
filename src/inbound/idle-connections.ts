import type { Duplex } from 'node:stream';

/** A connection that waits for less time than this is not counted out; milliseconds. */
const GRACE_MS = 1_000;

interface Answers {
  /** How many are not finished: a client may send ahead of them. */
  open: number;
  /** One of them is. */
  finished: () => void;
}

/**
 * The connections without a request that passed the access rules. Every one costs a file descriptor
 * that an upstream connection may need, so beyond `limit` the one that has waited longest is closed:
 * a flood of idle, slow or refused connections pushes out itself, while a client sends its request
 * long before its turn comes.
 */
export class IdleConnections {
  readonly #limit: number;
  readonly #now: () => number;
  /** Since when, in order of that. */
  readonly #idle = new Map<Duplex, number>();
  readonly #answers = new WeakMap<Duplex, Answers>();

  /** @param now milliseconds of a clock that never jumps */
  constructor(limit: number, now: () => number) {
    this.#limit = limit;
    this.#now = now;
  }

  get size(): number {
    return this.#idle.size;
  }

  /** A new connection. */
  opened(connection: Duplex): void {
    // One that was taken out of HTTP by an upgrade, and put in again.
    if (this.#answers.has(connection)) return;
    this.#watch(connection);
    this.#wait(connection);
  }

  /** A request passed the access rules. @returns what tells that its answer is finished */
  busy(connection: Duplex): () => void {
    const answers = this.#answers.get(connection) ?? this.#watch(connection);
    answers.open++;
    this.#idle.delete(connection);
    return answers.finished;
  }

  /** A request came that may not keep the connection: unless another one does, it waits anew. */
  renew(connection: Duplex): void {
    if (this.#idle.has(connection)) this.#wait(connection);
  }

  #watch(connection: Duplex): Answers {
    const answers: Answers = {
      open: 0,
      finished: () => {
        answers.open--;
        if (answers.open === 0 && !connection.destroyed) this.#wait(connection);
      },
    };
    this.#answers.set(connection, answers);
    connection.once('close', () => this.#idle.delete(connection));
    return answers;
  }

  #wait(connection: Duplex): void {
    const now = this.#now();
    this.#idle.delete(connection);
    this.#idle.set(connection, now);
    for (const [oldest, since] of this.#idle) {
      if (this.#idle.size <= this.#limit || now - since < GRACE_MS) return;
      this.#idle.delete(oldest);
      oldest.destroy();
    }
  }
}
