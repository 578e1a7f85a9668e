import { once } from 'node:events';
import { access, constants, open, stat } from 'node:fs/promises';
import { dirname } from 'node:path';
import { isatty } from 'node:tty';
import { destination } from 'pino';
import { ConfigError, errnoOf } from '../base/errors.ts';
import type { Logger } from '../base/logger.ts';
import { printable } from '../base/printable.ts';
import { appendTo, LineOutput, openOutput } from '../files/line-output.ts';
import { linkTarget } from '../files/replace-file.ts';
import type { ExchangeRecord } from './exchange-record.ts';

type Destination = ReturnType<typeof destination>;

/** The last lines are waited for this long at the end. */
const LAST_LINES_MS = 2_000;

/** Bytes of lines that wait while the file cannot be written; beyond that the newest are lost. */
const WAITING_BYTES = 8 * 1024 * 1024;

/**
 * One JSON line for each finished exchange: who asked for what, and what came of it, without body,
 * query or headers. A line that cannot be written does not stop the service: the audit log is a
 * record, not a barrier, and a full disk must not end every agent's work. The failure is logged
 * once, the lines wait for the next try, and lost lines are counted.
 */
export class AuditLog {
  readonly #log: Logger;
  /** null: standard output, or another stream that cannot be opened again. */
  readonly #path: string | null;
  #destination: Destination | LineOutput;
  #reopening: Promise<boolean> | null = null;
  #failing = false;
  #closed = false;
  #lost = 0;

  private constructor(destination: Destination | LineOutput, path: string | null, log: Logger) {
    this.#log = log;
    this.#path = path;
    this.#destination = destination instanceof LineOutput ? destination : this.#watch(destination);
  }

  /**
   * @param target `stdout`, `-`, or the path of a file; it is created with mode 0600 and appended to
   * @throws ConfigError when it cannot be opened
   */
  static async open(target: string, log: Logger): Promise<AuditLog> {
    if (isStandardOutput(target)) return new AuditLog(openOutput(1), null, log);
    try {
      if (await isStream(target)) return new AuditLog(appendTo(target), null, log);
      return new AuditLog(await openFile(target), target, log);
    } catch (error) {
      throw cannotWrite(target, error);
    }
  }

  /** Lines that will never be written. */
  get lost(): number {
    const target = this.#destination;
    return target instanceof LineOutput ? target.lost : this.#lost;
  }

  readonly finished = (record: ExchangeRecord): void => {
    if (!this.#closed) this.#destination.write(`${printable(auditLine(record))}\n`);
  };

  /**
   * Opens the file by its name again, after somebody has renamed it; until then lines go to the old
   * one. Does not use `SonicBoom.reopen`, which never finishes when a write was under way.
   * @returns false when there is no file, or the old one stays in use
   */
  reopen(): Promise<boolean> {
    this.#reopening ??= this.#reopenOnce().finally(() => {
      this.#reopening = null;
    });
    return this.#reopening;
  }

  /** Writes the waiting lines. Never rejects. */
  async close(): Promise<void> {
    await this.#reopening;
    if (this.#closed) return;
    this.#closed = true;
    const target = this.#destination;
    if (target instanceof LineOutput) await target.settle(LAST_LINES_MS);
    else await this.#end(target);
  }

  async #reopenOnce(): Promise<boolean> {
    if (this.#path === null || this.#closed) return false;
    const old = this.#destination;
    if (old instanceof LineOutput) return false;
    try {
      this.#destination = this.#watch(await openFile(this.#path));
    } catch (error) {
      this.#log.error({ err: error }, 'the audit log cannot be opened again; the old file stays');
      return false;
    }
    await this.#end(old);
    return true;
  }

  async #end(old: Destination): Promise<void> {
    const closed = once(old, 'close');
    old.end();
    try {
      await closed;
    } catch (error) {
      this.#log.error({ err: error }, 'the last lines of the audit log are lost');
      old.destroy();
    }
  }

  #watch(target: Destination): Destination {
    const { flushSync } = target;
    target.on('drop', () => {
      this.#lost++;
    });
    target.on('error', (error) => {
      // Otherwise it would try again for ever at the end of the process.
      target.flushSync = () => undefined;
      if (this.#failing) return;
      this.#failing = true;
      this.#log.error({ err: error }, 'the audit log cannot be written; requests go on without it');
    });
    target.on('write', () => {
      if (!this.#failing) return;
      this.#failing = false;
      target.flushSync = flushSync;
      this.#log.warn({ lost: this.#lost }, 'the audit log is written again');
    });
    return target;
  }
}

/**
 * Whether {@link AuditLog.open} can open the target; makes no file.
 * @param target null: there is no audit log
 * @throws ConfigError when it cannot
 */
export async function checkAuditTarget(target: string | null): Promise<void> {
  if (target === null || isStandardOutput(target)) return;
  try {
    const path = await linkTarget(target);
    const { O_WRONLY, O_APPEND, O_NONBLOCK } = constants;
    // Without O_NONBLOCK this would wait at a pipe that nobody reads.
    const file = await open(path, O_WRONLY | O_APPEND | O_NONBLOCK).catch((error: unknown) => {
      if (errnoOf(error) === 'ENOENT')
        return access(dirname(path), constants.W_OK | constants.X_OK);
      throw error;
    });
    await file?.close();
  } catch (error) {
    throw cannotWrite(target, error);
  }
}

function cannotWrite(target: string, error: unknown): ConfigError {
  return new ConfigError(`log.audit: cannot write ${target} (${errnoOf(error)})`);
}

/** Whether it is a pipe or a terminal, whose reader may stop reading. */
async function isStream(path: string): Promise<boolean> {
  const info = await stat(path).catch(() => null);
  if (info?.isFIFO()) return true;
  if (!info?.isCharacterDevice()) return false;
  const file = await open(path, constants.O_WRONLY | constants.O_NONBLOCK | constants.O_NOCTTY);
  try {
    return isatty(file.fd);
  } finally {
    await file.close();
  }
}

/** Whether a `log.audit` names standard output. */
export function isStandardOutput(target: string | null): boolean {
  return target === 'stdout' || target === '-';
}

async function openFile(path: string): Promise<Destination> {
  const options = { append: true, mkdir: false, mode: 0o600, maxLength: WAITING_BYTES };
  const file = destination({ dest: path, sync: false, ...options });
  try {
    await once(file, 'ready');
  } catch (error) {
    // Pino would flush it at the end of the process, which fails for a file that was never open.
    file.flushSync = () => undefined;
    throw error;
  }
  return file;
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
    model: record.model,
    tokens: record.tokens,
  };
  return JSON.stringify(line);
}
