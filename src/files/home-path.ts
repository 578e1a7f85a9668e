import { join } from 'node:path';

/**
 * A path as a shell would read it: `~` and `~/…` are in the home folder. Configuration files,
 * variables and `--option=~/…` reach the program without a shell that would do it.
 * @throws Error for `~user`, whose meaning only a shell knows
 */
export function expandHome(path: string, home: string): string {
  if (path === '~' || path.startsWith('~/')) return join(home, path.slice(1));
  if (!path.startsWith('~')) return path;
  throw new Error(`names the home folder of another user (${path}); write the whole path`);
}
