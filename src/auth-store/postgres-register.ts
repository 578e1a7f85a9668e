import type { MonotonicClock } from '../base/clock.ts';
import { isObject } from '../base/json.ts';
import type { PostgresLink, ResultRow } from './postgres-link.ts';
import { connectPrimary, onlyStandby } from './postgres-primary.ts';
import { describeProblem, needsSomebody } from './postgres-problems.ts';
import { INSERT_SQL, READ_SQL, ROW_FORMAT, UPDATE_SQL } from './postgres-schema.ts';
import { type PostgresServer, placeOf } from './postgres-url.ts';
import type { NewRow, Register, Row, RowStamp } from './register.ts';
import { StoreUnavailable } from './store.ts';

export interface PostgresRegisterDeps {
  /** The name of the row. */
  name: string;
  /** Asked before each connection: a password may have been changed, or a server added. */
  servers: () => Promise<[PostgresServer, ...PostgresServer[]]>;
  /** The servers at the start, for the name of this place. */
  first: PostgresServer;
  /** PEM with the authorities of the server's certificate; null: those of Node.js. */
  ca: string | null;
  monotonicNow: MonotonicClock;
  /** How the database calls the connection; absent: as the program. */
  session?: string | undefined;
}

const RECONNECT_MS = 1_000;
/** Where somebody has to change something first. */
const PROBLEM_MS = 10_000;
const NO_WRITE = '00000000-0000-0000-0000-000000000000';

/** One row of `codex_auth_sidecar.login`, over one connection. */
export class PostgresRegister implements Register {
  readonly location: string;
  readonly #deps: PostgresRegisterDeps;
  #link: PostgresLink | null = null;
  #server: PostgresServer;
  /** When the present server was first reached; it restarts with another one behind a pooler. */
  #since = 0;
  #started: unknown = null;
  #synchronous: boolean | null = null;
  #failure: StoreUnavailable | null = null;
  #retryAt = Number.NEGATIVE_INFINITY;

  constructor(deps: PostgresRegisterDeps) {
    this.#deps = deps;
    this.#server = deps.first;
    this.location = `${placeOf(deps.first)}#${deps.name}`;
  }

  get connectedForMs(): number {
    return this.#link?.isOpen ? this.#deps.monotonicNow() - this.#since : 0;
  }

  get synchronous(): boolean | null {
    return this.#synchronous;
  }

  async read(known: RowStamp | null): Promise<Row | 'same' | null> {
    const { version = -1, writeId = NO_WRITE } = known ?? {};
    const [row] = await this.#query(READ_SQL, [this.#deps.name, version, writeId]);
    if (!row) throw new StoreUnavailable('the database did not respond to a read');
    this.#noteServer(row);
    if (row.found !== true) return null;
    return row.same === true ? 'same' : rowOf(row);
  }

  async replace(expected: RowStamp | null, next: NewRow): Promise<number | null> {
    const { login, rotation, registration, attempts, sealed, writeId, writtenBy } = next;
    const json = JSON.stringify(attempts);
    const values = [
      this.#deps.name,
      login,
      rotation,
      registration,
      json,
      sealed,
      writeId,
      writtenBy,
    ];
    const [row] = expected
      ? await this.#query(UPDATE_SQL, [...values, expected.version, expected.writeId])
      : await this.#query(INSERT_SQL, values);
    return row ? Number(row.version) : null;
  }

  async close(): Promise<void> {
    this.#link?.destroy();
  }

  /** Another statement on the same connection, for commands. */
  async #query(text: string, values: (string | number | null)[]): Promise<ResultRow[]> {
    const link = await this.#connected();
    try {
      return await link.query(text, values);
    } catch (error) {
      link.destroy();
      throw this.#failed(error);
    }
  }

  async #connected(): Promise<PostgresLink> {
    if (this.#link?.isOpen) return this.#link;
    if (this.#failure && this.#deps.monotonicNow() < this.#retryAt) throw this.#failure;
    const { servers, ca, session, monotonicNow } = this.#deps;
    try {
      const { server, link } = await connectPrimary(await servers(), ca, session);
      this.#server = server;
      this.#link = link;
      this.#since = monotonicNow();
      this.#failure = null;
      return link;
    } catch (error) {
      throw this.#failed(error);
    }
  }

  #failed(error: unknown): StoreUnavailable {
    const pauseMs = needsSomebody(error) ? PROBLEM_MS : RECONNECT_MS;
    this.#retryAt = this.#deps.monotonicNow() + pauseMs;
    this.#failure = describeProblem(error, this.#server);
    return this.#failure;
  }

  /** Behind a pooler the server may have been exchanged without a break of the connection. */
  #noteServer({ standby, started, synchronous }: ResultRow): void {
    if (standby === true) {
      this.#link?.destroy();
      throw this.#failed(onlyStandby(this.#server));
    }
    if (this.#started !== started) this.#since = this.#deps.monotonicNow();
    this.#started = started;
    this.#synchronous = synchronous === true;
  }
}

/** @throws StoreUnavailable when a newer program wrote it, or when it does not fit */
function rowOf(row: ResultRow): Row {
  const { format, sealed, attempts, write_id: writeId, written_by: writtenBy } = row;
  if (Number(format) > ROW_FORMAT) {
    throw new StoreUnavailable(
      `the login in the store has format ${Number(format)}, this program knows ${ROW_FORMAT}; update this sidecar`,
    );
  }
  const [version, login, rotation, registration] = [
    row.version,
    row.login,
    row.rotation,
    row.registration,
  ].map(Number);
  const numbers = { version, login, rotation, registration };
  if (!areCounters(numbers) || typeof writeId !== 'string') {
    throw new StoreUnavailable('the row in the store holds numbers that nobody could have written');
  }
  const writtenAt = row.written_at instanceof Date ? row.written_at.toISOString() : '';
  return {
    ...numbers,
    writeId,
    writtenAt,
    writtenBy: String(writtenBy),
    sealed: typeof sealed === 'string' ? sealed : null,
    attempts: isObject(attempts) ? attempts : {},
  };
}

function areCounters<T extends Record<string, number | undefined>>(
  values: T,
): values is T & Record<keyof T, number> {
  return Object.values(values).every((value) => Number.isSafeInteger(value));
}
