import { ConfigError, errnoOf } from '../base/errors.ts';
import { isObject, parseJson } from '../base/json.ts';
import type { Logger } from '../base/logger.ts';
import type { Schedule } from '../base/schedule.ts';
import { holdFileLock, LockError } from '../files/lock.ts';
import { ReadError, readTextFile } from '../files/read-text.ts';
import { checkReplaceable, linkTarget, putAside, replaceFile } from '../files/replace-file.ts';
import { type DailyTokens, dayText, type ModelTokens, parseDay } from './daily-tokens.ts';

const KEY = 'usage.file';
const VERSION = 1;
/** Between a change and the write of it, so that a busy sidecar writes no more often. */
const WRITE_AFTER_MS = 5_000;
const LOCK_WAIT_SECONDS = 1;
/** Three days of 100,000 clients. */
const MAX_BYTES = 32 * 1024 * 1024;

interface CountersFileDeps {
  tokens: DailyTokens;
  log: Logger;
  /** Milliseconds since 1970. */
  now: number;
  schedule: Schedule;
}

/**
 * Keeps the tokens of the day over a restart. A process that is killed loses five seconds of them at
 * most. One process has the file to itself, because of two each would write what the other forgets.
 */
export class CountersFile {
  readonly #path: string;
  readonly #deps: CountersFileDeps;
  readonly #release: () => Promise<void>;
  #cancel: (() => void) | null = null;
  #writing: Promise<void> = Promise.resolve();
  #failing = false;

  private constructor(path: string, deps: CountersFileDeps, release: () => Promise<void>) {
    this.#path = path;
    this.#deps = deps;
    this.#release = release;
    deps.tokens.changed = () => {
      this.#cancel ??= deps.schedule(WRITE_AFTER_MS, () => void this.#write());
    };
  }

  /**
   * Adds what the file holds to `tokens`, and writes it from then on.
   * @throws ConfigError when it belongs to another process, or cannot be read or written
   */
  static async open(path: string, deps: CountersFileDeps): Promise<CountersFile> {
    const release = await lock(path, deps.log);
    try {
      await load(path, deps);
      await replaceFile(path, format(deps.tokens));
    } catch (error) {
      await release();
      if (error instanceof ConfigError) throw error;
      throw new ConfigError(`${KEY}: cannot write ${path} (${errnoOf(error)})`);
    }
    return new CountersFile(path, deps, release);
  }

  /** Resolves when the write that was begun last is over. */
  get written(): Promise<void> {
    return this.#writing;
  }

  /** Writes what has not been written yet. Never rejects. */
  async close(): Promise<void> {
    if (this.#cancel) await this.#write();
    await this.#writing;
    await this.#release();
  }

  #write(): Promise<void> {
    this.#cancel?.();
    this.#cancel = null;
    this.#writing = this.#writing.then(() => this.#writeOnce());
    return this.#writing;
  }

  async #writeOnce(): Promise<void> {
    const { tokens, log } = this.#deps;
    try {
      await replaceFile(this.#path, format(tokens));
      if (this.#failing) log.info(`${this.#path} is written again`);
      this.#failing = false;
    } catch (error) {
      if (!this.#failing)
        log.error(
          { err: error },
          `${KEY}: ${this.#path} cannot be written; a restart would forget what was used since`,
        );
      this.#failing = true;
      // Tried again with the next change.
    }
  }
}

/**
 * What a start would refuse, without making a file.
 * @throws ConfigError
 */
export async function checkCountersFile(path: string): Promise<void> {
  await read(path);
  await checkReplaceable(path).catch((error: unknown) => {
    throw new ConfigError(`${KEY}: cannot write ${path} (${errnoOf(error)})`);
  });
}

async function lock(path: string, log: Logger): Promise<() => Promise<void>> {
  try {
    // Beside the file that is written, so that another name of it is no other file.
    return await holdFileLock(`${await linkTarget(path)}.lock`, LOCK_WAIT_SECONDS);
  } catch (error) {
    if (!(error instanceof LockError)) throw error;
    if (error.held) {
      throw new ConfigError(`${KEY}: ${path} is in use by another sidecar; name another file`);
    }
    log.warn(`${error.message}; start no other sidecar with the ${KEY} ${path}`);
    return async () => undefined;
  }
}

async function load(path: string, { tokens, log, now }: CountersFileDeps): Promise<void> {
  const text = await read(path);
  const days = text === null ? [] : parse(text);
  if (days === null) {
    const aside = await putAside(path, now);
    log.error(
      `${KEY}: ${path} cannot be read as counts; it is kept as ${aside}, and counting starts anew`,
    );
  }
  for (const [day, client, counts] of days ?? []) tokens.add(client, counts, day);
}

/** @returns null when there is no file; @throws ConfigError */
async function read(path: string): Promise<string | null> {
  try {
    return await readTextFile(path, { maxBytes: MAX_BYTES });
  } catch (error) {
    if (error instanceof ReadError && error.code === 'ENOENT') return null;
    throw new ConfigError(`${KEY}: cannot read ${path} (${(error as Error).message})`);
  }
}

function format(tokens: DailyTokens): string {
  const days = [...tokens.days].map(([day, clients]) => [
    dayText(day),
    Object.fromEntries(clients),
  ]);
  return `${JSON.stringify({ version: VERSION, days: Object.fromEntries(days) })}\n`;
}

type Entry = [day: number, client: string, tokens: ModelTokens];

/** null when anything in it is not what {@link format} writes. */
function parse(text: string): Entry[] | null {
  const content = parseJson(text);
  if (!isObject(content) || content.version !== VERSION || !isObject(content.days)) return null;
  const entries: Entry[] = [];
  for (const [name, clients] of Object.entries(content.days)) {
    const day = parseDay(name);
    if (day === null || !isObject(clients)) return null;
    for (const [client, counts] of Object.entries(clients)) {
      if (!isObject(counts) || !isCount(counts.input) || !isCount(counts.output)) return null;
      entries.push([day, client, { input: counts.input, output: counts.output }]);
    }
  }
  return entries;
}

function isCount(value: unknown): value is number {
  return Number.isSafeInteger(value) && (value as number) >= 0;
}
