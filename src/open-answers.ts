import type { ServerResponse } from 'node:http';
import type { Duplex } from 'node:stream';

/** The answers that are not finished, by connection: a client may send ahead of them. */
export class OpenAnswers {
  readonly #byConnection = new WeakMap<Duplex, Set<ServerResponse>>();

  add(connection: Duplex, response: ServerResponse): void {
    const open = this.#byConnection.get(connection) ?? new Set();
    this.#byConnection.set(connection, open.add(response));
    response.once('close', () => open.delete(response));
  }

  /** The one that is being sent, or will be next; null when there is none. */
  first(connection: Duplex): ServerResponse | null {
    const [first] = this.#byConnection.get(connection) ?? [];
    return first ?? null;
  }
}
