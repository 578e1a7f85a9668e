import type { Command } from 'commander';
import type { CommandIo } from '../options.ts';

export function addDemoCommand(program: Command, { print }: CommandIo): void {
  program
    .command('demo')
    .description('run one turn of each kind through a sidecar against the emulated backend')
    .action(async () => {
      const { demo } = await import('./index.ts');
      await demo(print);
    });
}
