import { dirname } from 'node:path';
import type { Clock } from '../base/clock.ts';
import { ConfigError } from '../base/errors.ts';
import type { Logger } from '../base/logger.ts';
import type { Schedule } from '../base/schedule.ts';
import { serialized } from '../base/serialize.ts';
import { type StopWatching, watchPath } from '../files/watch.ts';
import { certificateWarnings, readTls, type TlsFiles, type TlsRead } from './tls-files.ts';

/** Certificate and key are two files: for a moment the new one of the first stands beside the old one. */
const PATIENCE_MS = 1_000;

interface TlsWatchOptions {
  files: TlsFiles;
  /** What a start has read. */
  read: TlsRead;
  /** Gets what the files hold now. */
  use: (read: TlsRead, authorityRemoved: boolean) => void;
  /** Is told why what the files hold now is not used; null: it is. */
  refused: (problem: string | null) => void;
  log: Logger;
  now: Clock;
  schedule: Schedule;
}

/** Reads the files of a listener again when they change. What cannot be used is said, and not used. */
export class TlsWatch {
  readonly #options: TlsWatchOptions;
  readonly #stops: StopWatching[];
  readonly #look: () => Promise<void>;
  #inUse: TlsRead;
  #problem: string | null = null;
  #cancel: (() => void) | null = null;
  #isSecondLook = false;

  constructor(options: TlsWatchOptions) {
    this.#options = options;
    this.#inUse = options.read;
    this.#look = serialized(() => this.#lookNow());
    const { certFile, keyFile, clientCaFile } = options.files;
    const paths = [certFile, keyFile, ...(clientCaFile === null ? [] : [clientCaFile])];
    this.#stops = paths.map((path) => watchPath(path, dirname(path), () => void this.#look()));
    // One may have changed between the read and now.
    void this.#look();
  }

  /** What is in use. */
  get read(): TlsRead {
    return this.#inUse;
  }

  close(): void {
    for (const stop of this.#stops) stop();
    this.#cancel?.();
    this.#cancel = null;
  }

  async #lookNow(): Promise<void> {
    const { files } = this.#options;
    try {
      const read = await readTls(files);
      this.#setProblem(null);
      if (!isSame(read, this.#inUse)) this.#use(read);
    } catch (error) {
      if (!(error instanceof ConfigError)) throw error;
      this.#failed(error);
    }
  }

  #use(read: TlsRead): void {
    const { files, use, log, now } = this.#options;
    const before = this.#inUse.identity.clientAuthorities ?? [];
    const after = new Set(read.identity.clientAuthorities ?? []);
    this.#inUse = read;
    use(
      read,
      before.some((authority) => !after.has(authority)),
    );
    const expiresAt = new Date(read.certificate.expiresAt).toISOString();
    log.info({ expiresAt }, `${files.key}: certificate and authorities were read again`);
    for (const line of certificateWarnings(files, read.certificate, now())) log.warn(line);
  }

  #setProblem(problem: string | null): void {
    this.#problem = problem;
    this.#options.refused(problem);
  }

  async #lookAgain(): Promise<void> {
    this.#cancel = null;
    this.#isSecondLook = true;
    await this.#look();
    this.#isSecondLook = false;
  }

  /** Looks once more before it is said, and says it once. */
  #failed(error: ConfigError): void {
    const { files, log, schedule } = this.#options;
    if (this.#problem === error.message || this.#cancel) return;
    if (!this.#isSecondLook) {
      this.#cancel = schedule(PATIENCE_MS, () => void this.#lookAgain());
      return;
    }
    this.#setProblem(error.message);
    log.error({ err: error }, `${files.key}: not read again, the old certificate stays`);
  }
}

function isSame({ identity: one }: TlsRead, { identity: other }: TlsRead): boolean {
  const listed = ({ cert, clientAuthorities }: typeof one) =>
    JSON.stringify([cert, clientAuthorities]);
  return one.key.reveal() === other.key.reveal() && listed(one) === listed(other);
}
