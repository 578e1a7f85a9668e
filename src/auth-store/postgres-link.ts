import { isIP, Socket } from 'node:net';
import { TLSSocket } from 'node:tls';
import type { Client } from 'pg';
import { isLocal, type PostgresServer } from './postgres-url.ts';
import { StoreUnavailable } from './store.ts';

type Values = readonly (string | number | null)[];
export type ResultRow = Record<string, unknown>;

const PROGRAM = 'codex-auth-sidecar';
/** The database cuts off what is longer. */
const LONGEST_SESSION = 63;
const CONNECT_MS = 3_000;
/** The server's own timeouts do not cover a commit that waits for a standby (measured). */
const STATEMENT_MS = 5_000;

/** How the connection of a sidecar is called in the database, where two of one name can be seen. */
export function sessionOf(row: string, replica: string): string {
  return `${PROGRAM} ${row} ${replica}`.slice(0, LONGEST_SESSION);
}

/** One connection. Whatever fails on it ends it: nobody knows what it would respond to next. */
export class PostgresLink {
  readonly #client: Client;
  readonly #socket: Socket;
  #warned = false;
  #closed = false;

  private constructor(client: Client, socket: Socket) {
    this.#client = client;
    this.#socket = socket;
    client.on('error', () => this.destroy());
    client.on('end', () => this.destroy());
    client.on('notice', ({ severity }) => {
      this.#warned ||= severity === 'WARNING';
    });
  }

  /**
   * @param ca PEM with authorities; null: those of Node.js
   * @param session how the database calls this connection
   */
  static async open(
    server: PostgresServer,
    ca: string | null,
    session = PROGRAM,
  ): Promise<PostgresLink> {
    // 15 MB and 80 ms that a sidecar with a file does not need (measured).
    const { default: pg } = await import('pg');
    const { host, port, user, database, password } = server;
    const socket = new Socket();
    const tls = { minVersion: 'TLSv1.2', rejectUnauthorized: true } as const;
    const servername = isIP(host) === 0 ? { servername: host } : {};
    const client = new pg.Client({
      host,
      port,
      user,
      database,
      // As a function, or an empty one would be looked up in ~/.pgpass.
      password: () => password?.reveal() ?? '',
      ssl: isLocal(server) ? false : { ...tls, ...servername, ...(ca === null ? {} : { ca }) },
      stream: () => socket,
      application_name: session,
      keepAlive: true,
    });
    const link = new PostgresLink(client, socket);
    await link.#within(CONNECT_MS, client.connect());
    return link;
  }

  /** When the certificate of the server ends, in milliseconds since 1970; null without TLS. */
  get certificateEnd(): number | null {
    // Its types leave the connection out.
    const { connection } = this.#client as { connection?: { stream?: unknown } };
    const stream = connection?.stream;
    const certificate = stream instanceof TLSSocket ? stream.getPeerX509Certificate() : undefined;
    return certificate ? Date.parse(certificate.validTo) : null;
  }

  get isOpen(): boolean {
    return !this.#closed;
  }

  /** @throws StoreUnavailable when the server warned: a commit may not be on its standby */
  async query(text: string, values: Values = []): Promise<ResultRow[]> {
    this.#warned = false;
    const work = this.#client.query<ResultRow>(text, [...values]);
    const { rows } = await this.#within(STATEMENT_MS, work);
    if (this.#warned) {
      this.destroy();
      throw new StoreUnavailable('the database did not confirm the write on its standby');
    }
    return rows;
  }

  destroy(): void {
    this.#closed = true;
    this.#socket.destroy();
  }

  async #within<T>(ms: number, work: Promise<T>): Promise<T> {
    let timer: NodeJS.Timeout | undefined;
    const late = new Promise<never>((_, reject) => {
      timer = setTimeout(() => reject(new StoreUnavailable('the database does not respond')), ms);
    });
    // It may settle later, when nobody waits for it any more.
    work.catch(() => undefined);
    try {
      return await Promise.race([work, late]);
    } catch (error) {
      this.destroy();
      throw error;
    } finally {
      clearTimeout(timer);
    }
  }
}
