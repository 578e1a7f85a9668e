import type { Command } from 'commander';
import { ConfigError } from '../../base/errors.ts';
import { type CommandIo, parsePath } from '../options.ts';
import type { HomeChoice } from './child-home.ts';

interface RunFlags {
  config?: string;
  isolateHome?: boolean;
  shareHome?: boolean;
  logFile?: string;
  logLevel?: string;
  verbose?: boolean;
}

export function addRunCommand(program: Command, io: CommandIo): void {
  program
    .command('run')
    .description('run a program with a sidecar of its own: run -- codex exec "…"')
    .usage('[options] -- <command> [args...]')
    .argument('<command>', 'program to run')
    .argument('[args...]', 'its arguments')
    .option('--config <file>', 'configuration file (JSON); its listener and tokens are not used')
    .option('--share-home', 'let the program use your CODEX_HOME itself, with the login in it')
    .option('--isolate-home', 'give the program a temporary copy of it, with no way back')
    .option(
      '--log-file <file>',
      'log there instead of ~/.local/state/codex-auth-sidecar/run.log',
      parsePath,
    )
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
        home: homeChoice(flags),
        command: [command, ...args],
        warn: io.warn,
      });
    });
}

function homeChoice({ shareHome = false, isolateHome = false }: RunFlags): HomeChoice {
  if (shareHome && isolateHome) {
    throw new ConfigError('--share-home and --isolate-home contradict each other; choose one');
  }
  if (shareHome) return 'shared';
  return isolateHome ? 'temporary' : 'private';
}
