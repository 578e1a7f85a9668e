import { Argument, type Command } from 'commander';
import type { CommandIo } from '../options.ts';
import { completionScript, SHELLS, type Shell } from './script.ts';

export function addCompletionCommand(program: Command, { print }: CommandIo): void {
  program
    .command('completion')
    .description('print a script that completes commands and options in a shell')
    .addArgument(new Argument('<shell>', 'the shell').choices(SHELLS))
    .action((shell: Shell) => print(completionScript(program, shell).trimEnd()));
}
