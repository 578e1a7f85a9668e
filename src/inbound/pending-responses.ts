import type { ServerResponse } from 'node:http';
import type { Duplex } from 'node:stream';

/**
 * The responses that are not finished, by connection; a client may send requests ahead of them. A list
 * each and not a set, for the reason that `open-list.ts` gives.
 */
export class PendingResponses {
  readonly #byConnection = new WeakMap<Duplex, ServerResponse[]>();

  /** @returns how many are pending on this connection now */
  add(connection: Duplex, response: ServerResponse): number {
    const pending = this.#byConnection.get(connection) ?? this.#watch(connection);
    pending.push(response);
    response.on('close', () => {
      const at = pending.indexOf(response);
      if (at !== -1) pending.splice(at, 1);
    });
    return pending.length;
  }

  /** The response that is being sent or comes next; null when none is pending. */
  first(connection: Duplex): ServerResponse | null {
    return this.#byConnection.get(connection)?.[0] ?? null;
  }

  // Node closes only the response that is being sent. The ones behind it would never learn that the
  // client is gone, and their exchanges with the upstream would go on.
  #watch(connection: Duplex): ServerResponse[] {
    const pending: ServerResponse[] = [];
    this.#byConnection.set(connection, pending);
    connection.once('close', () => {
      for (const response of [...pending]) {
        if (response.socket || response.writableFinished) continue;
        response.destroy();
        response.emit('close');
      }
    });
    return pending;
  }
}
