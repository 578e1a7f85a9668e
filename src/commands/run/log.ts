import { openSync, renameSync, statSync, writeSync } from 'node:fs';
import { homedir } from 'node:os';
import { dirname, join } from 'node:path';
import { ConfigError, errnoOf } from '../../base/errors.ts';
import { createLogger, type Logger } from '../../base/logger.ts';
import { makeFolder } from '../../files/ownership.ts';
import type { Environment } from '../../sidecar/settings.ts';

/** A log larger than this is renamed at the next start. */
const LARGEST_BYTES = 1024 * 1024;

interface RunLogOptions {
  level: string;
  /** Log on standard error. */
  verbose: boolean;
  /** File to log to; null means {@link defaultLogFile}. */
  file: string | null;
  env: Environment;
  warn: (line: string) => void;
}

/** Our state folder, as the XDG Base Directory specification defines it. */
export function stateFolder(env: Environment): string {
  const state = env.XDG_STATE_HOME?.trim() || join(homedir(), '.local', 'state');
  return join(state, 'codex-auth-sidecar');
}

export function defaultLogFile(env: Environment): string {
  return join(stateFolder(env), 'run.log');
}

/** The log of a sidecar whose terminal belongs to another program. */
export async function openRunLog(options: RunLogOptions): Promise<Logger> {
  const { level, verbose, file, env, warn } = options;
  if (verbose) return createLogger({ level, destination: await errorStream() });
  const path = file ?? defaultLogFile(env);
  try {
    await makeFolder(dirname(path));
    return createLogger({ level, destination: fileStream(path) });
  } catch (error) {
    const problem = `cannot write the log ${path} (${errnoOf(error)})`;
    if (file !== null) throw new ConfigError(`--log-file: ${problem}`);
    warn(`${problem}, so nothing is logged; choose another file with --log-file, or use --verbose`);
    return createLogger({ level: 'silent' });
  }
}

async function errorStream() {
  if (!process.stderr.isTTY) return { write: (line: string) => void process.stderr.write(line) };
  const { default: pretty } = await import('pino-pretty');
  return pretty({ destination: 2, sync: true });
}

/** Appends, because several runs may share the file. */
function fileStream(path: string): { write: (line: string) => void } {
  if ((statSync(path, { throwIfNoEntry: false })?.size ?? 0) > LARGEST_BYTES) {
    renameSync(path, `${path}.1`);
  }
  const descriptor = openSync(path, 'a', 0o600);
  return {
    write: (line) => {
      try {
        writeSync(descriptor, line);
      } catch {
        // A full disk must not stop the child.
      }
    },
  };
}
