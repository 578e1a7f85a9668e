import type { Command } from 'commander';
import { nearestName } from '../base/nearest-name.ts';

/** Adds a command that only holds others. */
export function addGroup(program: Command, name: string, description: string): Command {
  const group = program
    .command(name)
    .description(description)
    .helpCommand(false)
    .allowExcessArguments();
  return group.action(() => {
    const [given] = group.args;
    if (given !== undefined) refuseWord(group, given);
    const names = namesIn(group);
    group.error(`choose ${names.slice(0, -1).join(', ')} or ${names.at(-1)}`);
  });
}

/** Ends with the message that `word` is none of the commands of `parent`. */
export function refuseWord(parent: Command, word: string): never {
  const near = nearestName(word, namesIn(parent));
  const hint = near === null ? '' : ` (Did you mean ${near}?)`;
  parent.error(`unknown command '${word}'${hint}`);
}

/** The command that these words name, from `program` on. */
export function findCommand(program: Command, words: readonly string[]): Command {
  return words.reduce((parent, word) => {
    const found = parent.commands.find((command) => command.name() === word);
    return found ?? refuseWord(parent, word);
  }, program);
}

function namesIn(parent: Command): string[] {
  return parent.commands.map((command) => command.name());
}
