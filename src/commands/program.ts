import { Command } from 'commander';
import { VERSION } from '../base/version.ts';
import { addCodexConfigCommand } from './codex/command.ts';
import { addCompletionCommand } from './completion/command.ts';
import { addConfigCommand } from './config/command.ts';
import { addDemoCommand } from './demo/command.ts';
import { addDoctorCommand } from './doctor/command.ts';
import { addEmulatorCommand } from './emulator/command.ts';
import { findCommand } from './group.ts';
import { addLoginCommand } from './login/command.ts';
import { addLogoutCommand } from './logout/command.ts';
import type { CommandIo } from './options.ts';
import { addRunCommand } from './run/command.ts';
import { addServeCommand } from './serve/command.ts';
import { standardOutput } from './standard-output.ts';
import { addHealthcheckCommand, addStatusCommand } from './status/command.ts';
import { addStoreCommand } from './store/command.ts';
import { addTokenCommand } from './token/command.ts';

/** The whole command line; the help, the completions and the man page are made from it. */
export function createProgram(io: CommandIo): Command {
  const program = new Command('codex-auth-sidecar')
    .description('Keeps the Codex credentials, so that the coding agent does not have to.')
    .version(VERSION, '-v, --version', 'print the version')
    .helpOption('-h, --help', 'print this help')
    .helpCommand(false)
    .exitOverride()
    // Whoever parses prints every failure, all in one form.
    .configureOutput({
      outputError: () => undefined,
      writeOut: (text) => void standardOutput().write(text),
    })
    // Words that name no command go to the default one, which would first refuse their options.
    .hook('preSubcommand', () => {
      const [word] = program.args;
      if (word !== undefined && !word.startsWith('-')) findCommand(program, [word]);
    });
  addServeCommand(program, io);
  addHealthcheckCommand(program, io);
  addConfigCommand(program, io);
  addLoginCommand(program, io);
  addLogoutCommand(program, io);
  addStatusCommand(program, io);
  addDoctorCommand(program, io);
  addRunCommand(program, io);
  addCodexConfigCommand(program, io);
  addTokenCommand(program, io);
  addStoreCommand(program, io);
  addEmulatorCommand(program, io);
  addDemoCommand(program, io);
  addCompletionCommand(program, io);
  addHelpCommands(program, io);
  return program;
}

function addHelpCommands(program: Command, { print }: CommandIo): void {
  program
    .command('help')
    .description('print the help of a command')
    .argument('[command...]', 'the command')
    .action((words: string[]) => findCommand(program, words).help());
  program
    .command('version')
    .description('print the version')
    .action(() => print(VERSION));
}
