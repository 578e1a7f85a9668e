import type { Command } from 'commander';
import { type CommandIo, parsePath, parsePort } from '../options.ts';

interface EmulatorFlags {
  host: string;
  port: number;
  codexHome?: string;
}

export function addEmulatorCommand(program: Command, { print }: CommandIo): void {
  program
    .command('emulator')
    .description('serve an emulated backend, to try the sidecar without an account')
    .option('--host <address>', 'listening address', '127.0.0.1')
    .option('--port <number>', 'TCP port, 0 picks a free one', parsePort, 0)
    .option('--codex-home <folder>', 'write an auth.json of a throw-away login there', parsePath)
    .action(async (flags: EmulatorFlags) => {
      const { emulator } = await import('./index.ts');
      await emulator({ ...flags, codexHome: flags.codexHome ?? null, print });
    });
}
