import type { Command } from 'commander';
import { readSettings } from '../../sidecar/settings.ts';
import { addGroup } from '../group.ts';
import { type AddressFlags, type CommandIo, configLayer, withAddress } from '../options.ts';

interface ConfigFlags extends AddressFlags {
  allowUnauthenticated?: boolean;
  json?: boolean;
}

/** Adds `config check` and `config show` to the command line. */
export function addConfigCommand(program: Command, io: CommandIo): void {
  const config = addGroup(program, 'config', 'check or show the configuration, and start nothing');
  const settings = (flags: ConfigFlags) =>
    readSettings(io.env, flags.config ?? null, configLayer(flags));
  const add = (name: string, description: string) =>
    withAddress(config.command(name).description(description)).option(
      '--log-level <level>',
      'least severe level that is logged',
    );

  add('check', 'make the checks of a start; exit code 2 when it would be refused')
    .option('--allow-unauthenticated', 'as for "serve"')
    .action(async (flags: ConfigFlags) => {
      const { checkConfig } = await import('./check.ts');
      await checkConfig(await settings(flags), flags.allowUnauthenticated ?? false, io);
    });
  add('show', 'print each key with its value, and where that comes from')
    .option('--json', 'print them as JSON')
    .action(async (flags: ConfigFlags) => {
      const { configLines, configEntries } = await import('./show.ts');
      const entries = configEntries(await settings(flags));
      const lines = flags.json ? [JSON.stringify(entries, null, 2)] : configLines(entries);
      for (const line of lines) io.print(line);
    });
}
