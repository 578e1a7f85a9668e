import type { Stats } from 'node:fs';
import { stat } from 'node:fs/promises';
import { dirname } from 'node:path';
import { ConfigError } from '../base/errors.ts';
import type { Logger } from '../base/logger.ts';
import { type ClientTokens, parseClientTokens } from '../clients/client-tokens.ts';
import { ownUser } from '../files/ownership.ts';
import { type StopWatching, watchPath } from '../files/watch.ts';
import { readNamedFile } from './settings.ts';

/** What a tokens file held when it was read; the tokens in use are still the old ones. */
export interface TokensRead {
  /** null: clients need no token. */
  tokens: ClientTokens | null;
  /**
   * Starts watching this file. Call it when its tokens are applied.
   * @returns the tokens to apply: newer ones if the file was seen to change since
   */
  commit: () => ClientTokens | null;
}

interface Read {
  path: string | null;
  /** Reads of one file may overlap; what a later one found is newer. */
  order: number;
  text: string | null;
  tokens: ClientTokens | null;
  exposure: Exposure | null;
}

/** How other users could issue themselves a token, and what to do about it. */
interface Exposure {
  problem: string;
  remedy: string;
}

/** Who else can write the tokens file at `path`; null: nobody but root. */
export async function exposureOfFile(path: string): Promise<Exposure | null> {
  const info = await stat(path).catch(() => null);
  return info && exposure(path, info, ownUser());
}

/** @param own our own user id; undefined on systems that have none */
export function exposure(
  path: string,
  { mode, uid }: Pick<Stats, 'mode' | 'uid'>,
  own: number | undefined,
): Exposure | null {
  if ((mode & 0o022) !== 0) {
    return { problem: 'can be written by other users', remedy: `run: chmod go-w ${path}` };
  }
  // Whatever the mode is, the owner may change it.
  if (uid === 0 || uid === own) return null;
  const problem = `belongs to another user (${uid}), who can write it`;
  return { problem, remedy: 'give it to root, or to the user of the sidecar' };
}

/** The tokens file in use. It is watched, and a changed file is applied without a reload. */
export class TokensFile {
  readonly #log: Logger;
  readonly #use: (tokens: ClientTokens) => void;
  #reads = 0;
  #inUse: Read | null = null;
  #stop: StopWatching | null = null;
  #problem: string | null = null;
  /** The last warning about who can write the file. */
  #warned: string | null = null;

  /** @param use gets the tokens of a changed file */
  constructor(log: Logger, use: (tokens: ClientTokens) => void) {
    this.#log = log;
    this.#use = use;
  }

  /**
   * Reads the file; `commit` of the result watches it. At a start an empty file is refused, because
   * somebody forgot something; later it means that the last token was removed.
   * @param path null: clients need no token
   * @throws ConfigError
   */
  async read(path: string | null, atStart: boolean): Promise<TokensRead> {
    const read = await this.#read(path, ++this.#reads);
    const { tokens } = read;
    if (atStart && tokens?.size === 0) {
      throw new ConfigError(
        `clients.tokensFile: ${path} holds no token; run "codex-auth-sidecar token add NAME"`,
      );
    }
    return { tokens, commit: () => this.#commit(read) };
  }

  close(): void {
    this.#stop?.();
    this.#stop = null;
    this.#inUse = null;
  }

  async #read(path: string | null, order: number): Promise<Read> {
    if (path === null) return { path, order, text: null, tokens: null, exposure: null };
    const text = await readNamedFile('clients.tokensFile', path);
    const exposure = await exposureOfFile(path);
    return { path, order, text, tokens: parseClientTokens(text), exposure };
  }

  #commit(read: Read): ClientTokens | null {
    const { path, tokens } = read;
    const before = this.#inUse;
    if (before?.path === path && before.order > read.order) return before.tokens;
    if (tokens?.size === 0) this.#log.warn(`${path} holds no token: every client is refused`);
    this.#found(read);
    if (path !== before?.path) this.#watch(path);
    // The file may have changed between the read and the start of the watch.
    void this.#changed();
    return tokens;
  }

  #found(read: Read): void {
    const { path, exposure } = read;
    const warning = exposure && `${path} ${exposure.problem}; ${exposure.remedy}`;
    if (warning !== null && warning !== this.#warned) this.#log.warn(warning);
    this.#warned = warning;
    this.#inUse = read;
    this.#problem = null;
  }

  #watch(path: string | null): void {
    this.#stop?.();
    this.#stop = path === null ? null : watchPath(path, dirname(path), () => void this.#changed());
  }

  async #changed(): Promise<void> {
    const path = this.#inUse?.path ?? null;
    if (path === null) return;
    const order = ++this.#reads;
    const isOutdated = () => this.#inUse?.path !== path || this.#inUse.order > order;
    try {
      const read = await this.#read(path, order);
      const { text, tokens } = read;
      if (isOutdated() || !tokens) return;
      const isSame = text === this.#inUse?.text;
      this.#found(read);
      if (isSame) return;
      this.#use(tokens);
      this.#log.info({ clients: tokens.size }, 'client tokens read again');
    } catch (error) {
      // Logged once: if the log is in the same folder, each line of it wakes the watcher.
      if (isOutdated() || String(error) === this.#problem) return;
      this.#problem = String(error);
      this.#log.error({ err: error }, 'client tokens not read again, the old ones stay');
    }
  }
}
