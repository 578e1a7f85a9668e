import { constants, openSync, writeSync } from 'node:fs';
import { Socket } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { errnoOf } from '../base/errors.ts';

/** Bytes that wait for a reader; beyond that the newest lines are lost. */
const WAITING_BYTES = 1024 * 1024;
const RETRY_MS = 25;

/** What a descriptor that does not block says when nobody reads. */
const NOT_NOW = new Set(['EAGAIN', 'EWOULDBLOCK']);

/**
 * Lines for a pipe, a terminal, a socket or a file that somebody else reads, or does not. A write
 * never waits: a process that waited for a reader would serve nobody. Lines wait in memory up to 1
 * MiB; what does not fit there, or cannot be written, is counted as lost.
 */
export class LineOutput {
  readonly #fd: number;
  #waiting: Buffer[] = [];
  #waitingBytes = 0;
  #timer: NodeJS.Timeout | null = null;
  #lost = 0;
  #told = 0;
  /** Called once lines can be written again, with the number of those lost since the last call. */
  onResumed: (lost: number) => void = () => undefined;

  /** @param fd it must not block; see {@link openOutput} and {@link appendTo} */
  constructor(fd: number) {
    this.#fd = fd;
  }

  /** Lines that will never be written. */
  get lost(): number {
    return this.#lost;
  }

  /** @param line with its line break */
  readonly write = (line: string): void => {
    const bytes = Buffer.from(line);
    if (this.#waiting.length > 0 && this.#waitingBytes + bytes.length > WAITING_BYTES) {
      this.#lost++;
      return;
    }
    this.#waiting.push(bytes);
    this.#waitingBytes += bytes.length;
    if (this.#timer === null) this.#drain();
  };

  /** Waits until the lines are written, for `waitMs` at most; then they are lost. */
  async settle(waitMs: number): Promise<void> {
    for (let tries = waitMs / RETRY_MS; tries > 0 && this.#waiting.length > 0; tries--) {
      await sleep(RETRY_MS);
      this.#drain();
    }
    this.#lost += this.#waiting.length;
    this.#clear();
  }

  #drain(): void {
    if (this.#timer !== null) clearTimeout(this.#timer);
    this.#timer = null;
    try {
      this.#writeWaiting();
    } catch (error) {
      if (NOT_NOW.has(errnoOf(error))) {
        this.#timer = setTimeout(() => this.#drain(), RETRY_MS).unref();
        return;
      }
      // Nobody will read (EPIPE, EIO), or the disk is full: later lines may have more luck.
      this.#lost += this.#waiting.length;
      this.#clear();
      return;
    }
    const lost = this.#lost - this.#told;
    this.#told = this.#lost;
    if (lost > 0) this.onResumed(lost);
  }

  #writeWaiting(): void {
    for (let bytes = this.#waiting[0]; bytes; bytes = this.#waiting[0]) {
      const written = writeSync(this.#fd, bytes);
      this.#waitingBytes -= written;
      if (written === bytes.length) this.#waiting.shift();
      else this.#waiting[0] = bytes.subarray(written);
    }
  }

  #clear(): void {
    if (this.#timer !== null) clearTimeout(this.#timer);
    this.#timer = null;
    this.#waiting = [];
    this.#waitingBytes = 0;
  }
}

/** One for each descriptor, so that the lines of two writers do not mix. */
const standard = new Map<number, LineOutput>();

/**
 * Standard output (1) or standard error (2) as an output that does not block. Where the system can
 * (Linux: pipes, terminals, devices) it is opened once more, because the flag would hold for every
 * process that shares the descriptor.
 */
export function openOutput(fd: 1 | 2): LineOutput {
  const output = standard.get(fd) ?? withoutBlocking(fd);
  standard.set(fd, output);
  return output;
}

function withoutBlocking(fd: number): LineOutput {
  try {
    return new LineOutput(openSync(`/proc/self/fd/${fd}`, APPEND_WITHOUT_BLOCKING));
  } catch {
    // A socket cannot be opened; Node.js sets the flag on what it takes for a stream.
    try {
      new Socket({ fd, readable: false, writable: true }).unref().on('error', () => undefined);
    } catch {
      // A terminal where there is no /proc: writes may wait for it.
    }
    return new LineOutput(fd);
  }
}

/**
 * A file that is appended to, made with mode 0600; also a pipe, which must have a reader.
 * @throws the error of the system
 */
export function appendTo(path: string): LineOutput {
  return new LineOutput(openSync(path, APPEND_WITHOUT_BLOCKING | constants.O_CREAT, 0o600));
}

const APPEND_WITHOUT_BLOCKING =
  constants.O_WRONLY | constants.O_APPEND | constants.O_NONBLOCK | constants.O_NOCTTY;
