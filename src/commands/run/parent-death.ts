import { spawnSync } from 'node:child_process';
import { findProgram } from '../../files/find-program.ts';

const PROGRAMS = '/usr/bin:/bin:/usr/local/bin';
const PROBE_MS = 5_000;

/**
 * The same command, which Linux ends with SIGTERM when this process dies in whatever way
 * (`PR_SET_PDEATHSIG`, prctl(2)). Node.js cannot ask for that itself; `setpriv` of util-linux does, and
 * then becomes the program. Where it is missing, or too old, the command is returned as it is.
 */
export async function endingWithParent(
  command: readonly string[],
  path: string | undefined,
): Promise<readonly string[]> {
  const [program = ''] = command;
  // A program that is missing must fail in our words, not in those of setpriv.
  const isThere = (await findProgram(program, path)) !== null;
  const setpriv = isThere ? await findProgram('setpriv', PROGRAMS) : null;
  if (setpriv === null) return command;
  const prefix = [setpriv, '--pdeathsig', 'TERM', '--'];
  const [probe = '', ...args] = [...prefix, 'true'];
  const { status } = spawnSync(probe, args, { stdio: 'ignore', timeout: PROBE_MS });
  return status === 0 ? [...prefix, ...command] : command;
}
