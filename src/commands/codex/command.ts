import type { Command } from 'commander';
import { plainVariables } from '../../sidecar/settings.ts';
import { type AddressFlags, type CommandIo, configLayer, withAddress } from '../options.ts';

interface CodexConfigFlags extends AddressFlags {
  url?: string;
  tokenFile?: string;
  write?: boolean;
  login?: boolean;
}

export function addCodexConfigCommand(program: Command, io: CommandIo): void {
  withAddress(
    program.command('codex-config').description('print the config.toml that points Codex here'),
  )
    .option('--url <url>', 'address of the sidecar as Codex sees it')
    .option('--token-file <file>', 'file that holds the client token, - for standard input')
    .option('--write', 'put it into config.toml in CODEX_HOME (default ~/.codex)')
    .option('--login', 'with --write: also sign Codex in to the sidecar, and nowhere else')
    .action(async (flags: CodexConfigFlags) => {
      const { codexConfig } = await import('./configure.ts');
      await codexConfig({
        env: plainVariables(io.env),
        configFile: flags.config ?? null,
        flags: configLayer(flags),
        url: flags.url ?? null,
        tokenFile: flags.tokenFile ?? null,
        readInput: io.readInput,
        write: flags.write ?? false,
        login: flags.login ?? false,
        print: io.print,
        warn: io.warn,
      });
    });
}
