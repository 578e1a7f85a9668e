import type { AuthStore, Transaction } from '../auth-store/store.ts';
import type { Logger } from '../base/logger.ts';
import type { Schedule } from '../base/schedule.ts';
import type { ChatGptLogin } from './chatgpt-login.ts';

interface TokenWriterDeps {
  store: AuthStore;
  schedule: Schedule;
  log: Logger;
}

/** Writes the tokens of a session to the store, and knows when they are in memory only. */
export class TokenWriter {
  readonly #deps: TokenWriterDeps;
  #problem: string | null = null;
  /** Failed attempts in a row. */
  #failures = 0;
  #cancelRetry: () => void = () => undefined;

  constructor(deps: TokenWriterDeps) {
    this.#deps = deps;
  }

  /** Why the tokens in use are not in the store; null when they are. */
  get problem(): string | null {
    return this.#problem;
  }

  /** Never rejects. @returns whether the store holds them now */
  async write(transaction: Transaction, login: ChatGptLogin): Promise<boolean> {
    const { log } = this.#deps;
    const { accessToken, idToken, refreshToken, lastRefresh } = login;
    try {
      const change = transaction.current?.tokensChange({
        id_token: idToken?.reveal() ?? null,
        access_token: accessToken.reveal(),
        refresh_token: refreshToken?.reveal() ?? null,
      });
      await transaction.write({ ...change, last_refresh: lastRefresh });
      this.giveUp();
      return true;
    } catch (error) {
      const known = this.#failures > 0;
      this.#failures++;
      this.postpone();
      if (!known) log.error({ err: error }, this.#problem ?? '');
      return false;
    }
  }

  /** The tokens in use are to be written later. */
  postpone(): void {
    const { location } = this.#deps.store;
    this.#problem = `new tokens could not be written to ${location} and are in memory only`;
  }

  /** There is nothing left to write: the store holds newer tokens. */
  giveUp(): void {
    this.#problem = null;
    this.#failures = 0;
  }

  retryLater(retry: () => void): void {
    this.#cancelRetry();
    this.#cancelRetry = this.#deps.schedule(this.#pauseMs, retry);
  }

  get #pauseMs(): number {
    const { writeRetriesMs } = this.#deps.store;
    const index = Math.min(Math.max(this.#failures - 1, 0), writeRetriesMs.length - 1);
    return writeRetriesMs[index] ?? 60_000;
  }

  cancelRetry(): void {
    this.#cancelRetry();
  }
}
