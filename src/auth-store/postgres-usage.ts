import { randomUUID } from 'node:crypto';
import type { ClientCountsRow } from '../base/client-counts.ts';
import { errnoOf } from '../base/errors.ts';
import type { PostgresLink, ResultRow } from './postgres-link.ts';
import { connectPrimary } from './postgres-primary.ts';
import { describeProblem } from './postgres-problems.ts';
import { FORGET_USAGE_SQL, SHARE_USAGE_SQL, USAGE_TABLE } from './postgres-schema.ts';
import { type PostgresServer, placeOf } from './postgres-url.ts';
import { StoreUnavailable } from './store.ts';

export interface PostgresUsageDeps {
  /** The name of the login that the sidecars share. */
  name: string;
  /** Asked before each connection. */
  servers: () => Promise<[PostgresServer, ...PostgresServer[]]>;
  /** PEM with the authorities of the server's certificate; null: those of Node.js. */
  ca: string | null;
}

/**
 * Where sidecars with one login tell each other what their clients have used. It has a connection of
 * its own: a table that is missing must not end the one that the login needs.
 */
export class PostgresUsage {
  readonly #deps: PostgresUsageDeps;
  /** Of this run; another run of the same sidecar begins at 0. */
  readonly #writer = randomUUID();
  #link: PostgresLink | null = null;
  #server: PostgresServer | null = null;

  constructor(deps: PostgresUsageDeps) {
    this.#deps = deps;
  }

  /**
   * @param day number of the day in UTC
   * @param mine what has changed since the last call; the rest is there already
   * @returns the sums of all others
   * @throws StoreUnavailable
   */
  async share(day: number, mine: readonly ClientCountsRow[]): Promise<ClientCountsRow[]> {
    const values = [this.#deps.name, day, this.#writer, JSON.stringify(mine)];
    return (await this.#query(SHARE_USAGE_SQL, values)).map(rowOf);
  }

  /** Removes what is older than three days. @throws StoreUnavailable */
  async forget(): Promise<void> {
    await this.#query(FORGET_USAGE_SQL, [this.#deps.name]);
  }

  close(): void {
    this.#link?.destroy();
  }

  async #query(text: string, values: (string | number)[]): Promise<ResultRow[]> {
    const link = await this.#connected();
    try {
      return await link.query(text, values);
    } catch (error) {
      link.destroy();
      throw this.#explain(error);
    }
  }

  async #connected(): Promise<PostgresLink> {
    if (this.#link?.isOpen) return this.#link;
    const { servers, ca } = this.#deps;
    try {
      const { server, link } = await connectPrimary(await servers(), ca);
      this.#server = server;
      this.#link = link;
      return link;
    } catch (error) {
      throw this.#explain(error);
    }
  }

  #explain(error: unknown): StoreUnavailable {
    const server = this.#server;
    if (error instanceof StoreUnavailable || !server) return toUnavailable(error);
    const remedy = 'run "codex-auth-sidecar store init" of this version once more';
    const code = errnoOf(error);
    if (code === '42P01') {
      const place = placeOf(server);
      return new StoreUnavailable(`store ${place}: the table ${USAGE_TABLE} is missing; ${remedy}`);
    }
    if (code === '42501') {
      const right = `the role ${server.user} lacks a right on ${USAGE_TABLE}`;
      return new StoreUnavailable(`store ${placeOf(server)}: ${right}; ${remedy}, with --role`);
    }
    return describeProblem(error, server);
  }
}

function toUnavailable(error: unknown): StoreUnavailable {
  return error instanceof StoreUnavailable ? error : new StoreUnavailable(String(error), error);
}

function rowOf({ client, input, output, requests, streams }: ResultRow): ClientCountsRow {
  return {
    client: String(client),
    input: Number(input),
    output: Number(output),
    requests: Number(requests),
    streams: Number(streams),
  };
}
