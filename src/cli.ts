#!/usr/bin/env node
import { Command, CommanderError } from 'commander';
import { ConfigError } from './base/errors.ts';
import { onOneLine } from './base/printable.ts';
import { VERSION } from './base/version.ts';
import { addCodexConfigCommand } from './commands/codex/command.ts';
import { addCompletionCommand } from './commands/completion/command.ts';
import { addDemoCommand } from './commands/demo/command.ts';
import { addDoctorCommand } from './commands/doctor/command.ts';
import { addEmulatorCommand } from './commands/emulator/command.ts';
import { addLoginCommand } from './commands/login/command.ts';
import { addLogoutCommand } from './commands/logout/command.ts';
import type { CommandIo } from './commands/options.ts';
import { hardenProcess, letHeapGrow, readAllText, takeEnvironment } from './commands/process.ts';
import { addRunCommand } from './commands/run/command.ts';
import { ChildStartError } from './commands/run/process.ts';
import { addServeCommand } from './commands/serve/command.ts';
import { addHealthcheckCommand, addStatusCommand } from './commands/status/command.ts';
import { addStoreCommand } from './commands/store/command.ts';
import { addTokenCommand } from './commands/token/command.ts';

/** Exit codes of the command line. */
const FAILURE = 1;
const USAGE = 2;

hardenProcess();
letHeapGrow();

const io: CommandIo = {
  env: takeEnvironment(process.env),
  print,
  warn,
  readInput: readStandardInput,
  terminal: process.stderr.isTTY ? { write: (text) => process.stderr.write(text) } : null,
  ask: process.stdin.isTTY && process.stderr.isTTY ? askOnTerminal : null,
  fail: () => {
    process.exitCode = FAILURE;
  },
};

const program = new Command('codex-auth-sidecar')
  .description('Keeps the Codex credentials, so that the coding agent does not have to.')
  .version(VERSION, '--version', 'print the version')
  .helpOption('--help', 'print this help')
  .helpCommand(false)
  .exitOverride()
  // report() prints every failure, all in one form.
  .configureOutput({ outputError: () => undefined });

addServeCommand(program, io);
addHealthcheckCommand(program, io);
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

try {
  await program.parseAsync();
} catch (error) {
  process.exitCode = report(error);
}

async function askOnTerminal(question: string): Promise<string> {
  const { createInterface } = await import('node:readline/promises');
  const lines = createInterface({ input: process.stdin, output: process.stderr });
  // Ctrl-C and Ctrl-D end the program, as they do without a question.
  lines.once('SIGINT', () => process.kill(process.pid, 'SIGINT'));
  const closed = new Promise<never>((_, reject) =>
    lines.once('close', () => reject(new Error('nothing was answered'))),
  );
  try {
    return await Promise.race([lines.question(question), closed]);
  } finally {
    closed.catch(() => undefined);
    lines.close();
  }
}

async function readStandardInput(): Promise<string> {
  if (process.stdin.isTTY) process.stderr.write('token: ');
  return readAllText(process.stdin);
}

function print(line: string): void {
  process.stdout.write(`${line}\n`);
}

function warn(line: string): void {
  process.stderr.write(`codex-auth-sidecar: ${onOneLine(line)}\n`);
}

/** Prints one line on standard error. @returns the exit code */
function report(error: unknown): number {
  // Commander throws after printing the help or the version, too.
  if (error instanceof CommanderError && error.exitCode === 0) return 0;
  const text = error instanceof Error ? error.message : String(error);
  warn(describe(error, text));
  if (error instanceof ChildStartError) return error.exitCode;
  return error instanceof CommanderError || error instanceof ConfigError ? USAGE : FAILURE;
}

function describe(error: unknown, text: string): string {
  if (error instanceof ConfigError) return `wrong configuration: ${text}`;
  if (!(error instanceof CommanderError)) return text;
  return `${text.replace(/^error: /, '')} (--help lists the commands and options)`;
}
