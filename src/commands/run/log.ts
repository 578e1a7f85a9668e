import { renameSync, statSync } from 'node:fs';
import { homedir } from 'node:os';
import { dirname, join } from 'node:path';
import { isatty } from 'node:tty';
import { ConfigError, errnoOf } from '../../base/errors.ts';
import { createLogger, type Logger } from '../../base/logger.ts';
import { appendTo, type LineOutput, openOutput } from '../../files/line-output.ts';
import { makeFolder } from '../../files/ownership.ts';
import type { Environment } from '../../sidecar/settings.ts';
import { wantsColour } from '../colour.ts';
import { LAST_LINES_MS, type LogForm, openLog } from '../log.ts';

/** A log larger than this is renamed at the next start. */
const LARGEST_BYTES = 1024 * 1024;

interface RunLogOptions extends Pick<LogForm, 'level' | 'levelNames'> {
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

export interface RunLog {
  log: Logger;
  /** Waits for unread lines, within a bound. */
  close(): Promise<void>;
}

/** The log of a sidecar whose terminal belongs to another program. */
export async function openRunLog(options: RunLogOptions): Promise<RunLog> {
  const { level, levelNames, verbose, file, env, warn } = options;
  const names = { level, levelNames };
  if (verbose) {
    const pretty = isatty(2);
    return closing(openOutput(2), { ...names, pretty, colour: wantsColour(pretty, env) });
  }
  const path = file ?? defaultLogFile(env);
  let output: LineOutput;
  try {
    await makeFolder(dirname(path));
    output = openFile(path);
  } catch (error) {
    const problem = `cannot write the log ${path} (${errnoOf(error)})`;
    if (file !== null) throw new ConfigError(`--log-file: ${problem}`);
    warn(`${problem}, so nothing is logged; choose another file with --log-file, or use --verbose`);
    return { log: createLogger({ level: 'silent' }), close: async () => undefined };
  }
  return closing(output, { ...names, pretty: false, colour: false });
}

async function closing(output: LineOutput, form: LogForm): Promise<RunLog> {
  return { log: await openLog(output, form), close: () => output.settle(LAST_LINES_MS) };
}

/** Appends, because several runs may share the file. */
function openFile(path: string): LineOutput {
  if ((statSync(path, { throwIfNoEntry: false })?.size ?? 0) > LARGEST_BYTES) {
    renameSync(path, `${path}.1`);
  }
  return appendTo(path);
}
