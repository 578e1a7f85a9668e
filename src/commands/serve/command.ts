import { isatty } from 'node:tty';
import type { Command } from 'commander';
import { plainVariables } from '../../sidecar/settings.ts';
import { wantsColour } from '../colour.ts';
import {
  type AddressFlags,
  type CommandIo,
  configLayer,
  parsePath,
  withAddress,
} from '../options.ts';

interface ServeFlags extends AddressFlags {
  serverInfo?: string;
  pretty?: boolean;
  allowUnauthenticated?: boolean;
}

export function addServeCommand(program: Command, io: CommandIo): void {
  withAddress(program.command('serve', { isDefault: true }).description('run the proxy'))
    .option(
      '--server-info <file>',
      'write {"port","socket","pid","url"} there once listening',
      parsePath,
    )
    .option('--log-level <level>', 'least severe level that is logged')
    .option('--pretty', 'log for people, as on a terminal, instead of JSON')
    .option('--no-pretty', 'log JSON, also on a terminal')
    .option('--allow-unauthenticated', 'listen beyond loopback without client tokens')
    .action(async (flags: ServeFlags) => {
      const { serve } = await import('./index.ts');
      await serve({
        env: io.env,
        configFile: flags.config ?? null,
        flags: configLayer(flags),
        serverInfo: flags.serverInfo ?? null,
        pretty: flags.pretty ?? isatty(1),
        colour: wantsColour(isatty(1), plainVariables(io.env)),
        allowUnauthenticated: flags.allowUnauthenticated ?? false,
      });
    });
}
