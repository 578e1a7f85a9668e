#!/usr/bin/env node
import { CommanderError } from 'commander';
import { ConfigError } from './base/errors.ts';
import { onOneLine } from './base/printable.ts';
import type { CommandIo } from './commands/options.ts';
import { hardenProcess, readAllText, takeEnvironment, tuneHeap } from './commands/process.ts';
import { createProgram } from './commands/program.ts';
import { ChildStartError } from './commands/run/process.ts';
import { standardOutput } from './commands/standard-output.ts';

/** Exit codes of the command line. */
const FAILURE = 1;
const USAGE = 2;

hardenProcess();
tuneHeap();

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

try {
  await createProgram(io).parseAsync();
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
  standardOutput().write(`${line}\n`);
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
