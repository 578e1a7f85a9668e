import type { ServerResponse } from 'node:http';
import type { Duplex } from 'node:stream';

/** The answers that are not finished, by connection: a client may send ahead of them. */
export class PendingResponses {
  readonly #byConnection = new WeakMap<Duplex, Set<ServerResponse>>();

  /** @returns how many are open on this connection now */
  add(connection: Duplex, response: ServerResponse): number {
    const open = this.#byConnection.get(connection) ?? this.#watch(connection);
    open.add(response);
    response.on('close', () => open.delete(response));
    return open.size;
  }

  /** The one that is being sent, or will be next; null when there is none. */
  first(connection: Duplex): ServerResponse | null {
    const [first] = this.#byConnection.get(connection) ?? [];
    return first ?? null;
  }

  // Node closes only the answer that is being sent. Those behind it would never learn that the
  // client is gone, and their exchanges with the upstream would go on.
  #watch(connection: Duplex): Set<ServerResponse> {
    const open = new Set<ServerResponse>();
    this.#byConnection.set(connection, open);
    connection.once('close', () => {
      for (const response of open) {
        if (response.socket || response.writableFinished) continue;
        response.destroy();
        response.emit('close');
      }
    });
    return open;
  }
}
