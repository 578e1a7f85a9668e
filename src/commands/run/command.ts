import type { Command } from 'commander';
import { plainVariables } from '../../sidecar/settings.ts';
import { type AddressFlags, type CommandIo, configLayer, withAddress } from '../options.ts';

interface RunFlags {
  config?: string;
  isolateHome?: boolean;
  logFile?: string;
  logLevel?: string;
  verbose?: boolean;
}

interface CodexConfigFlags extends AddressFlags {
  url?: string;
  tokenFile?: string;
  write?: boolean;
}

/** The commands that bring an agent to the sidecar. */
export function addAgentCommands(program: Command, io: CommandIo): void {
  program
    .command('run')
    .description('run a program with a sidecar of its own: run -- codex exec "…"')
    .usage('[options] -- <command> [args...]')
    .argument('<command>', 'program to run')
    .argument('[args...]', 'its arguments')
    .option('--config <file>', 'configuration file (JSON); its listener and tokens are not used')
    .option('--isolate-home', 'give the program a temporary CODEX_HOME without a login')
    .option('--log-file <file>', 'log there instead of ~/.local/state/codex-auth-sidecar/run.log')
    .option('--log-level <level>', 'least severe level that is logged')
    .option('--verbose', 'log on standard error')
    .action(async (command: string, args: string[], flags: RunFlags) => {
      const { run } = await import('./index.ts');
      process.exitCode = await run({
        env: io.env,
        configFile: flags.config ?? null,
        logFile: flags.logFile ?? null,
        logLevel: flags.logLevel ?? null,
        verbose: flags.verbose ?? false,
        isolateHome: flags.isolateHome ?? false,
        command: [command, ...args],
        warn: io.warn,
      });
    });

  withAddress(
    program.command('codex-config').description('print the config.toml that points Codex here'),
  )
    .option('--url <url>', 'address of the sidecar as Codex sees it')
    .option('--token-file <file>', 'file that holds the client token, - for standard input')
    .option('--write', 'put it into config.toml in CODEX_HOME (default ~/.codex)')
    .action(async (flags: CodexConfigFlags) => {
      const { codexConfig } = await import('../codex/configure.ts');
      await codexConfig({
        env: plainVariables(io.env),
        configFile: flags.config ?? null,
        flags: configLayer(flags),
        url: flags.url ?? null,
        tokenFile: flags.tokenFile ?? null,
        readInput: io.readInput,
        write: flags.write ?? false,
        print: io.print,
        warn: io.warn,
      });
    });
}
