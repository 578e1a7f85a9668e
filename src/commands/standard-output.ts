import { errnoOf } from '../base/errors.ts';

let isGuarded = false;

/**
 * Standard output of a command that prints. A reader that has gone, as `head` goes, ends the command in
 * silence, as it ends other programs. Not touched before: `serve` and `run` treat theirs in another way.
 */
export function standardOutput(): NodeJS.WriteStream {
  if (!isGuarded) {
    isGuarded = true;
    process.stdout.on('error', (error) => {
      if (errnoOf(error) !== 'EPIPE') throw error;
      process.exit();
    });
  }
  return process.stdout;
}
