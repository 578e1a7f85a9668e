import { once } from 'node:events';
import { destination } from 'pino';
import { ConfigError } from './config.ts';
import type { Logger } from './logger.ts';
import type { ExchangeRecord } from './observation.ts';

type Destination = ReturnType<typeof destination>;

/** Lines that wait while the file cannot be written; past that the newest ones are lost. */
const WAITING_BYTES = 8 * 1024 * 1024;
const STDOUT = 1;

/**
 * One JSON line for each finished exchange: who asked for what, and what came of it; no body, no
 * query, no header. A line that cannot be written does not stop the service: the audit is a record
 * and no barrier, and a full disk must not end every agent's work. It is logged as an error once,
 * the lines wait for the next try, and those that are lost are counted.
 */
export class AuditLog {
  readonly #destination: Destination;
  readonly #flushSync: Destination['flushSync'];
  readonly #log: Logger;
  readonly #isFile: boolean;
  #failing = false;
  #closed = false;
  #lost = 0;

  private constructor(target: Destination, isFile: boolean, log: Logger) {
    this.#destination = target;
    this.#flushSync = target.flushSync;
    this.#isFile = isFile;
    this.#log = log;
    target.on('error', this.#onError);
    target.on('drop', () => {
      this.#lost++;
    });
    target.on('write', this.#onWrite);
  }

  /**
   * @param target `stdout`, `-`, or the path of a file, which is made with mode 0600 and appended to
   * @throws ConfigError when it cannot be opened
   */
  static async open(target: string, log: Logger): Promise<AuditLog> {
    if (target === 'stdout' || target === '-') {
      // Written at once, like the log, so that no line comes apart in another one.
      return new AuditLog(destination({ dest: STDOUT, sync: true }), false, log);
    }
    const options = { append: true, mkdir: false, mode: 0o600, maxLength: WAITING_BYTES };
    const file = destination({ dest: target, sync: false, ...options });
    try {
      await once(file, 'ready');
    } catch (error) {
      const { code } = error as NodeJS.ErrnoException;
      throw new ConfigError(`log.audit: cannot write ${target} (${code ?? 'unknown error'})`);
    }
    return new AuditLog(file, true, log);
  }

  /** Lines that will never be written. */
  get lost(): number {
    return this.#lost;
  }

  readonly finished = (record: ExchangeRecord): void => {
    if (!this.#closed) this.#destination.write(auditLine(record));
  };

  /**
   * Closes the file and opens it by its name again, after somebody has renamed it.
   * @returns false when it is no file
   */
  reopen(): boolean {
    if (!this.#isFile || this.#closed) return false;
    this.#destination.reopen();
    return true;
  }

  /** Writes what waits. Never rejects. */
  async close(): Promise<void> {
    if (!this.#isFile || this.#closed) return;
    this.#closed = true;
    const closed = once(this.#destination, 'close');
    this.#destination.end();
    try {
      await closed;
    } catch (error) {
      this.#log.error({ err: error }, 'the last lines of the audit log are lost');
      this.#destination.destroy();
    }
  }

  readonly #onError = (error: Error): void => {
    // At the end of the process it would try again for ever.
    this.#destination.flushSync = () => undefined;
    if (this.#failing) return;
    this.#failing = true;
    this.#log.error({ err: error }, 'the audit log cannot be written; requests go on without it');
  };

  readonly #onWrite = (): void => {
    if (!this.#failing) return;
    this.#failing = false;
    this.#destination.flushSync = this.#flushSync;
    this.#log.warn({ lost: this.#lost }, 'the audit log is written again');
  };
}

export function auditLine(record: ExchangeRecord): string {
  const { client, method, path, kind, status, durationMs, code, outcome } = record;
  const line = {
    time: new Date(record.startedAt).toISOString(),
    client,
    method,
    path,
    kind,
    status,
    durationMs: Math.round(durationMs),
    bytesIn: record.bytesUp,
    bytesOut: record.bytesDown,
    upstreamRequestId: record.upstreamRequestId,
    code,
    outcome,
  };
  return `${JSON.stringify(line)}\n`;
}
