import { close, constants, fstat, open, read, type Stats } from 'node:fs';
import { Socket } from 'node:net';
import { promisify } from 'node:util';
import { errnoOf } from '../base/errors.ts';
import { encodingOf } from '../base/text-encoding.ts';

const MAX_BYTES = 1024 * 1024;
const PIPE_WAIT_MS = 5_000;
const CHUNK_BYTES = 64 * 1024;

/** Why a file could not be read as text. `message` is the reason alone, for instance `ENOENT`. */
export class ReadError extends Error {
  readonly code: string;

  /** @param code that of the system, or the one that fits best */
  constructor(reason: string, code: string, cause?: unknown) {
    super(reason, { cause });
    this.code = code;
  }
}

interface ReadLimits {
  /** Largest content, in bytes; 1 MiB when absent. */
  maxBytes?: number;
  /** Longest wait for whoever writes into a pipe, in milliseconds; 5 seconds when absent. */
  pipeWaitMs?: number;
}

/** The content of each pipe that was read, because a pipe gives it only once. */
const pipes = new Map<string, Promise<Buffer>>();

/**
 * Reads a file that a person or another program wrote, as text. No kind of file can hang the
 * process: the file is opened without blocking, a pipe is waited for in the event loop, and both
 * size and wait have a limit. A pipe is read once; each later read gives the same text.
 * @throws ReadError
 */
export async function readTextFile(path: string, limits: ReadLimits = {}): Promise<string> {
  return decodeText(await readBytes(path, limits));
}

async function readBytes(path: string, limits: ReadLimits): Promise<Buffer> {
  const { maxBytes = MAX_BYTES, pipeWaitMs = PIPE_WAIT_MS } = limits;
  let fd: number;
  try {
    fd = await promisify(open)(
      path,
      constants.O_RDONLY | constants.O_NONBLOCK | constants.O_NOCTTY,
    );
  } catch (error) {
    throw readErrorOf(error);
  }
  let isOurs = true;
  try {
    const info = await promisify(fstat)(fd);
    if (info.isDirectory()) throw new ReadError('EISDIR', 'EISDIR');
    if (!info.isFIFO()) return await readToEnd(fd, maxBytes);
    const known = pipes.get(identity(info));
    if (known) return await known;
    isOurs = false;
    const content = readPipe(fd, maxBytes, pipeWaitMs);
    pipes.set(identity(info), content);
    // What failed may work the next time.
    content.catch(() => pipes.delete(identity(info)));
    return await content;
  } finally {
    if (isOurs) await promisify(close)(fd);
  }
}

/** A new pipe may get the inode of a removed one; it is younger. */
function identity({ dev, ino, birthtimeMs }: Stats): string {
  return `${dev}:${ino}:${birthtimeMs}`;
}

/** In chunks, because files such as those of /proc do not tell their size. */
async function readToEnd(fd: number, maxBytes: number): Promise<Buffer> {
  const chunks: Buffer[] = [];
  let size = 0;
  for (;;) {
    const chunk = await readChunk(fd);
    if (chunk.length === 0) return Buffer.concat(chunks);
    size += chunk.length;
    if (size > maxBytes) throw tooLarge(maxBytes);
    chunks.push(chunk);
  }
}

function readChunk(fd: number): Promise<Buffer> {
  const buffer = Buffer.allocUnsafe(CHUNK_BYTES);
  return new Promise((resolve, reject) => {
    read(fd, buffer, 0, CHUNK_BYTES, null, (error, bytes) => {
      if (error) reject(readErrorOf(error));
      else resolve(buffer.subarray(0, bytes));
    });
  });
}

// A read of libuv's thread pool would occupy its thread for as long as nobody writes, and the
// process could not exit before it returns.
function readPipe(fd: number, maxBytes: number, waitMs: number): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    const pipe = new Socket({ fd, readable: true, writable: false });
    const chunks: Buffer[] = [];
    let size = 0;
    const timer = setTimeout(() => {
      const reason = `nobody finished writing to this pipe within ${waitMs / 1000} s`;
      pipe.destroy(new ReadError(reason, 'ETIMEDOUT'));
    }, waitMs);
    pipe.on('data', (chunk: Buffer) => {
      size += chunk.length;
      if (size > maxBytes) pipe.destroy(tooLarge(maxBytes));
      else chunks.push(chunk);
    });
    pipe.once('end', () => resolve(Buffer.concat(chunks)));
    pipe.once('error', (error) => {
      reject(error instanceof ReadError ? error : readErrorOf(error));
    });
    pipe.once('close', () => clearTimeout(timer));
  });
}

function readErrorOf(error: unknown): ReadError {
  const code = errnoOf(error);
  return new ReadError(code, code, error);
}

function tooLarge(maxBytes: number): ReadError {
  return new ReadError(`it holds more than ${maxBytes / 1024} KiB`, 'EFBIG');
}

/**
 * Text as editors on any system store it: UTF-8 with or without a byte order mark, or UTF-16.
 * @throws ReadError when it is neither
 */
export function decodeText(bytes: Buffer): string {
  try {
    // The decoder takes a mark out.
    return new TextDecoder(encodingOf(bytes), { fatal: true }).decode(bytes);
  } catch {
    throw new ReadError('it is neither UTF-8 nor UTF-16 text; save it as UTF-8', 'EILSEQ');
  }
}
