import { codexIndex } from './child-environment.ts';

/** Options of Codex, ahead of its subcommand, that take a value as a word of its own. */
const WITH_VALUE = new Set(
  '-c --config --enable --disable -m --model -p --profile -C --cd -s --sandbox'.split(' '),
);

/**
 * Behind `run` nobody signs in to Codex or out of it: the sidecar holds the login.
 * @throws Error that says what to type instead
 */
export function refuseSignIn(command: readonly string[]): void {
  const index = codexIndex(command);
  if (index === -1) return;
  const [subcommand, ...rest] = withoutOptions(command.slice(index + 1));
  // It changes nothing, and its answer is true.
  const isStatus = subcommand === 'login' && rest[0] === 'status';
  if ((subcommand !== 'login' && subcommand !== 'logout') || isStatus) return;
  const instead = subcommand === 'login' ? 'login --device-auth' : 'logout';
  throw new Error(
    `the sidecar holds the login of this Codex; type "codex-auth-sidecar ${instead}" instead`,
  );
}

/** The words that are neither options nor values of options. */
function withoutOptions(words: readonly string[]): string[] {
  return words.filter((word, i) => !word.startsWith('-') && !WITH_VALUE.has(words[i - 1] ?? ''));
}
