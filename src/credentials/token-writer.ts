import type { AuthStore, Transaction } from '../auth-store/file-store.ts';
import type { Logger } from '../base/logger.ts';
import type { Schedule } from '../base/schedule.ts';
import type { ChatGptLogin } from './chatgpt-login.ts';

/** Pause between two attempts to store tokens that could not be written. */
const RETRY_MS = 60_000;

interface TokenWriterDeps {
  store: AuthStore;
  schedule: Schedule;
  log: Logger;
}

/** Writes the tokens of a session to the store, and knows when they are in memory only. */
export class TokenWriter {
  readonly #deps: TokenWriterDeps;
  #problem: string | null = null;
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
    const { store, log } = this.#deps;
    const { accessToken, idToken, refreshToken, lastRefresh } = login;
    try {
      const change = transaction.current?.tokensChange({
        id_token: idToken?.reveal() ?? null,
        access_token: accessToken.reveal(),
        refresh_token: refreshToken?.reveal() ?? null,
      });
      await transaction.write({ ...change, last_refresh: lastRefresh });
      this.#problem = null;
      return true;
    } catch (error) {
      const known = this.#problem !== null;
      this.#problem = `new tokens could not be written to ${store.location} and are in memory only`;
      if (!known) log.error({ err: error }, this.#problem);
      return false;
    }
  }

  /** There is nothing left to write: the store holds newer tokens. */
  giveUp(): void {
    this.#problem = null;
  }

  retryLater(retry: () => void): void {
    this.#cancelRetry();
    this.#cancelRetry = this.#deps.schedule(RETRY_MS, retry);
  }

  cancelRetry(): void {
    this.#cancelRetry();
  }
}
