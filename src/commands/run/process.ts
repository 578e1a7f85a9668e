import { type ChildProcess, spawn } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { constants } from 'node:os';
import { isatty } from 'node:tty';
import type { Environment } from '../../sidecar/settings.ts';
import { endingWithParent } from './parent-death.ts';

/** Exit codes that shells use. */
const NOT_FOUND = 127;
const NOT_EXECUTABLE = 126;
const SIGNAL_BASE = 128;

/** Signals that we forward; those of job control reach the whole process group anyway. */
const FORWARDED = ['SIGINT', 'SIGQUIT', 'SIGTERM', 'SIGHUP', 'SIGUSR1', 'SIGUSR2'] as const;
/** Signals that the keyboard sends to the whole foreground group. */
const FROM_KEYBOARD: readonly NodeJS.Signals[] = ['SIGINT', 'SIGQUIT'];

/** The child cannot be started; `exitCode` is 127 if the program does not exist, else 126. */
export class ChildStartError extends Error {
  override readonly name = 'ChildStartError';
  readonly exitCode: number;

  constructor(program: string, error: NodeJS.ErrnoException) {
    const missing = error.code === 'ENOENT';
    super(
      missing
        ? `cannot start ${program}: program not found; check the name and PATH`
        : `cannot start ${program} (${error.code ?? error.message})`,
    );
    this.exitCode = missing ? NOT_FOUND : NOT_EXECUTABLE;
  }
}

/**
 * Runs a program in the same terminal and folder, and forwards signals to it. Where the system can do
 * that, the program is ended when this process is killed.
 * @param abort ends the child, for instance when the sidecar has failed
 * @returns its exit code, or 128 plus the number of the signal that ended it
 * @throws ChildStartError
 */
export async function runProcess(
  command: readonly string[],
  env: Environment,
  abort: AbortSignal,
): Promise<number> {
  const [program = '', ...args] = await endingWithParent(command, env.PATH);
  let child: ChildProcess | null = null;
  const handOn = (signal: NodeJS.Signals) => {
    if (!FROM_KEYBOARD.includes(signal) || !isForeground()) child?.kill(signal);
  };
  for (const signal of FORWARDED) process.on(signal, handOn);
  const end = () => child?.kill('SIGTERM');
  abort.addEventListener('abort', end);
  try {
    return await new Promise<number>((resolve, reject) => {
      child = spawn(program, args, { stdio: 'inherit', env });
      // The sidecar may have failed already.
      if (abort.aborted) end();
      child.once('error', (error) => reject(new ChildStartError(program, error)));
      child.once('exit', (code, signal) => {
        resolve(code ?? SIGNAL_BASE + (signal ? constants.signals[signal] : 0));
      });
    });
  } finally {
    abort.removeEventListener('abort', end);
    for (const signal of FORWARDED) process.off(signal, handOn);
  }
}

/**
 * Whether this process is in the foreground group of a terminal. The child is in the same group, so
 * the keyboard's signals reach it without us, and a second signal would mean something else.
 */
function isForeground(): boolean {
  let stat: string;
  try {
    stat = readFileSync('/proc/self/stat', 'latin1');
  } catch {
    return [0, 1, 2].some((descriptor) => isatty(descriptor));
  }
  // proc(5): pid (name) state ppid pgrp session tty_nr tpgid …; the name may hold anything.
  const [, , group, , terminal, foreground] = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  return terminal !== '0' && group === foreground;
}
