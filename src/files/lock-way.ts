import { spawn } from 'node:child_process';
import { constants } from 'node:fs';
import { type FileHandle, open as openFile } from 'node:fs/promises';
import { platform as ownPlatform } from 'node:os';
import { setTimeout as sleepFor } from 'node:timers/promises';
import { monotonicClock } from '../base/clock.ts';
import { errnoOf } from '../base/errors.ts';
import { findProgram } from './find-program.ts';
import { LockError } from './lock-error.ts';

/** How an exclusive flock(2) is taken on a kind of system. */
export interface LockWay {
  /** What takes the lock, in words; null where nothing can. */
  means(): Promise<string | null>;
  /**
   * Opens a file, which is made if need be, and locks it until the handle is closed.
   * @throws LockError
   */
  open(path: string, waitSeconds: number): Promise<FileHandle>;
}

/** On these, open(2) can take the lock itself. Node.js has no name for the flag. */
const HAVE_O_EXLOCK = ['darwin', 'freebsd', 'openbsd'];
/** The same number on each of them (`sys/fcntl.h`). */
const O_EXLOCK = 0x20;
/** There is no program for it, and no signal at the end of a wait. */
const ASK_AGAIN_MS = 50;

/** @param platform `process.platform` */
export function lockWay(platform: string = ownPlatform()): LockWay {
  if (HAVE_O_EXLOCK.includes(platform)) return openingLocked();
  return platform === 'win32' ? UNAVAILABLE : lockingByProgram();
}

interface System {
  open: (path: string, flags: number, mode: number) => Promise<FileHandle>;
  sleep: (ms: number) => Promise<unknown>;
  monotonicNow: () => number;
}

/**
 * The lock that open(2) takes there has the semantics of flock(2) (open(2) of macOS and the BSDs). With
 * `O_NONBLOCK` a held one fails at once, and is asked for again; without it, the wait could not be
 * ended. It has been tested with a stand-in for open(2), not on such a system.
 */
export function openingLocked(
  system: System = { open: openFile, sleep: sleepFor, monotonicNow: monotonicClock },
): LockWay {
  const { O_WRONLY, O_CREAT, O_APPEND, O_NONBLOCK } = constants;
  const flags = O_WRONLY | O_CREAT | O_APPEND | O_NONBLOCK | O_EXLOCK;
  return {
    means: async () => 'open(2) with O_EXLOCK',
    open: async (path, waitSeconds) => {
      const end = system.monotonicNow() + waitSeconds * 1000;
      for (;;) {
        try {
          return await system.open(path, flags, 0o600);
        } catch (cause) {
          // EWOULDBLOCK is the same number.
          if (errnoOf(cause) !== 'EAGAIN') throw cannotOpen(path, cause);
        }
        const left = end - system.monotonicNow();
        if (left <= 0) throw heldByAnother(path);
        await system.sleep(Math.min(ASK_AGAIN_MS, left));
      }
    },
  };
}

/** Where it is looked for, whatever `PATH` says: not in a folder that an agent could have put there. */
const FOLDERS =
  '/usr/local/bin:/usr/bin:/bin:/opt/homebrew/bin:/usr/sbin:/sbin:/run/current-system/sw/bin';
const MISSING = 'the program "flock" is missing; install util-linux or BusyBox';

/**
 * Node.js has no flock. The `flock` program of util-linux or BusyBox takes the lock on a descriptor
 * that it inherits; the lock belongs to the open file, so it stays with us when that program ends.
 */
export function lockingByProgram(folders = FOLDERS): LockWay {
  const means = () => findProgram('flock', folders);
  return {
    means,
    open: async (path, waitSeconds) => {
      const handle = await openFile(path, 'a', 0o600).catch((cause: unknown) => {
        throw cannotOpen(path, cause);
      });
      try {
        const program = await means();
        if (program === null) throw new LockError(MISSING, false);
        await runLockProgram(program, handle.fd, path, waitSeconds);
        return handle;
      } catch (error) {
        await handle.close();
        throw error;
      }
    },
  };
}

const UNAVAILABLE: LockWay = {
  means: async () => null,
  open: async () => {
    throw new LockError('Windows has no lock like flock(2)', false);
  },
};

function runLockProgram(
  program: string,
  fd: number,
  path: string,
  waitSeconds: number,
): Promise<void> {
  return new Promise((resolve, reject) => {
    // BusyBox's flock has no timeout option, so the program is killed when the time is up.
    const child = spawn(program, ['-x', '3'], {
      stdio: ['ignore', 'ignore', 'ignore', fd],
      timeout: waitSeconds * 1000,
      env: {},
    });
    child.once('error', (cause) => {
      reject(new LockError(`${program} cannot be started (${errnoOf(cause)})`, false, cause));
    });
    child.once('exit', (code) => {
      if (code === 0) resolve();
      else if (code === null) reject(heldByAnother(path));
      else reject(new LockError(`${path} cannot be locked (flock ended with ${code})`, false));
    });
  });
}

function cannotOpen(path: string, cause: unknown): LockError {
  return new LockError(`cannot open ${path} (${errnoOf(cause)})`, false, cause);
}

function heldByAnother(path: string): LockError {
  return new LockError(`${path} is held by another process`, true);
}
