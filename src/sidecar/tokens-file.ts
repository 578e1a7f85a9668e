import type { Stats } from 'node:fs';
import { stat } from 'node:fs/promises';
import { dirname } from 'node:path';
import { type ClientTokens, parseClientTokens } from '../access/client-tokens.ts';
import { ConfigError } from '../base/errors.ts';
import type { Logger } from '../base/logger.ts';
import { type StopWatching, watchPath } from '../files/watch.ts';
import { readNamedFile } from './settings.ts';

/** What a file of client tokens held; nothing has changed yet. */
export interface TokensRead {
  /** Null: no token is asked for. */
  tokens: ClientTokens | null;
  /**
   * Makes it the file that is watched, which is for the time when its tokens are in force.
   * @returns those that are to be: newer ones where the file was seen to change since
   */
  commit: () => ClientTokens | null;
}

interface Look {
  path: string | null;
  /** Looks at one file may overlap; what a later one found is newer. */
  order: number;
  text: string | null;
  tokens: ClientTokens | null;
  exposure: Exposure | null;
}

/** How other users can give themselves a token, and what to do about it. */
export interface Exposure {
  problem: string;
  remedy: string;
}

/** Who else can write the file of client tokens at `path`; null: nobody but root. */
export async function exposureOfFile(path: string): Promise<Exposure | null> {
  const info = await stat(path).catch(() => null);
  return info && exposure(path, info, process.getuid?.());
}

/** @param own id of the user who we are; undefined on systems without */
export function exposure(
  path: string,
  { mode, uid }: Pick<Stats, 'mode' | 'uid'>,
  own: number | undefined,
): Exposure | null {
  if ((mode & 0o022) !== 0) {
    return { problem: 'can be written by other users', remedy: `run: chmod go-w ${path}` };
  }
  // Whatever the mode is, an owner may change it.
  if (uid === 0 || uid === own) return null;
  const problem = `belongs to another user (${uid}), who can write it`;
  return { problem, remedy: 'give it to root, or to the user of the sidecar' };
}

/** The file of client tokens that is in force; a change of it is put in force by itself. */
export class TokensFile {
  readonly #log: Logger;
  readonly #use: (tokens: ClientTokens) => void;
  #looks = 0;
  #inForce: Look | null = null;
  #stop: StopWatching | null = null;
  #problem: string | null = null;
  /** What was said last of who can write the file. */
  #warned: string | null = null;

  /** @param use takes the tokens of a changed file */
  constructor(log: Logger, use: (tokens: ClientTokens) => void) {
    this.#log = log;
    this.#use = use;
  }

  /**
   * Reads the file; `commit` of the answer watches it. At a start an empty one is refused, for somebody
   * forgot something; later it means that the last token was taken away.
   * @param path null: no token is asked for
   * @throws ConfigError
   */
  async read(path: string | null, atStart: boolean): Promise<TokensRead> {
    const look = await this.#look(path, ++this.#looks);
    const { tokens } = look;
    if (atStart && tokens?.size === 0) {
      throw new ConfigError(
        `clients.tokensFile: ${path} holds no token; run "codex-auth-sidecar token add NAME"`,
      );
    }
    return { tokens, commit: () => this.#commit(look) };
  }

  close(): void {
    this.#stop?.();
    this.#stop = null;
    this.#inForce = null;
  }

  async #look(path: string | null, order: number): Promise<Look> {
    if (path === null) return { path, order, text: null, tokens: null, exposure: null };
    const text = await readNamedFile('clients.tokensFile', path);
    const exposure = await exposureOfFile(path);
    return { path, order, text, tokens: parseClientTokens(text), exposure };
  }

  #commit(look: Look): ClientTokens | null {
    const { path, tokens } = look;
    const before = this.#inForce;
    if (before?.path === path && before.order > look.order) return before.tokens;
    if (tokens?.size === 0) this.#log.warn(`${path} holds no token: every client is refused`);
    this.#found(look);
    if (path !== before?.path) this.#watch(path);
    // Nobody was told of a change since the read.
    void this.#changed();
    return tokens;
  }

  #found(look: Look): void {
    const { path, exposure } = look;
    const warning = exposure && `${path} ${exposure.problem}; ${exposure.remedy}`;
    if (warning !== null && warning !== this.#warned) this.#log.warn(warning);
    this.#warned = warning;
    this.#inForce = look;
    this.#problem = null;
  }

  #watch(path: string | null): void {
    this.#stop?.();
    this.#stop = path === null ? null : watchPath(path, dirname(path), () => void this.#changed());
  }

  async #changed(): Promise<void> {
    const path = this.#inForce?.path ?? null;
    if (path === null) return;
    const order = ++this.#looks;
    const isOutdated = () => this.#inForce?.path !== path || this.#inForce.order > order;
    try {
      const look = await this.#look(path, order);
      const { text, tokens } = look;
      if (isOutdated() || !tokens) return;
      const isSame = text === this.#inForce?.text;
      this.#found(look);
      if (isSame) return;
      this.#use(tokens);
      this.#log.info({ clients: tokens.size }, 'client tokens read again');
    } catch (error) {
      // Once: the log may be written in the same folder, which is an event too.
      if (isOutdated() || String(error) === this.#problem) return;
      this.#problem = String(error);
      this.#log.error({ err: error }, 'client tokens not read again, the old ones stay');
    }
  }
}
