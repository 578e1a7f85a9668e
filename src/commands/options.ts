import { homedir } from 'node:os';
import { type Command, InvalidArgumentError } from 'commander';
import type { OwnEnvironment } from '../config/environment.ts';
import { dropUndefined, type PartialConfig } from '../config/resolve.ts';
import { expandHome } from '../files/home-path.ts';

/** What commands take from the process, and give to it. */
export interface CommandIo {
  env: OwnEnvironment;
  /** Prints a line of output, on standard output. */
  print: (line: string) => void;
  /** Prints a message, on standard error. */
  warn: (line: string) => void;
  /** Reads all of standard input. */
  readInput: () => Promise<string>;
  /** Standard error where it is a terminal, for a line that is drawn anew; null elsewhere. */
  terminal: { write: (text: string) => void } | null;
  /** Asks the person at the terminal; null where there is nobody. */
  ask: ((question: string) => Promise<string>) | null;
  /** Makes the process exit with the code of a failure. */
  fail: () => void;
}

/** Options of every command that needs a sidecar's address. */
export interface AddressFlags {
  config?: string;
  host?: string;
  port?: number;
  socket?: string;
  logLevel?: string;
}

export function withAddress(command: Command): Command {
  return command
    .option('--config <file>', 'configuration file (JSON)')
    .option('--host <address>', 'listening address')
    .option('--port <number>', 'TCP port, 0 picks a free one', parsePort)
    .option('--socket <path>', 'Unix socket instead of host and port');
}

export function configLayer(flags: AddressFlags): PartialConfig {
  const { host, port, socket, logLevel } = flags;
  return {
    listen: dropUndefined({ host, port, socket }),
    log: dropUndefined({ level: logLevel }),
  };
}

/** A path on the command line, where `--option=~/file` reaches us without a shell's help. */
export function parsePath(value: string): string {
  try {
    return expandHome(value, homedir());
  } catch (error) {
    throw new InvalidArgumentError((error as Error).message);
  }
}

export function parsePort(value: string): number {
  const port = Number(value);
  if (!/^\d{1,5}$/.test(value) || port > 65535) {
    throw new InvalidArgumentError('it must be a number from 0 to 65535');
  }
  return port;
}

export function parseSeconds(value: string): number {
  const seconds = Number(value);
  if (!(seconds >= 0.1 && seconds <= 86_400)) {
    throw new InvalidArgumentError('it must be a number of seconds from 0.1 to 86400');
  }
  return seconds;
}
