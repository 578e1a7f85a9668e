#!/usr/bin/env node
import { Argument, Command, CommanderError } from 'commander';
import { ConfigError } from './base/errors.ts';
import { VERSION } from './base/version.ts';
import { completionScript, SHELLS, type Shell } from './commands/completion.ts';
import { addInspectCommands } from './commands/doctor/command.ts';
import type { LoginInput } from './commands/login.ts';
import {
  type AddressFlags,
  type CommandIo,
  configLayer,
  parsePort,
  withAddress,
} from './commands/options.ts';
import { hardenProcess, letHeapGrow, readAllText, takeEnvironment } from './commands/process.ts';
import { addAgentCommands } from './commands/run/command.ts';
import { ChildStartError } from './commands/run/process.ts';
import { addTokenCommand } from './commands/token/index.ts';

/** Exit codes of the command line. */
const FAILURE = 1;
const USAGE = 2;

interface ServeFlags extends AddressFlags {
  serverInfo?: string;
  pretty?: boolean;
  allowUnauthenticated?: boolean;
}

interface LoginFlags {
  config?: string;
  withAgentIdentity?: boolean;
  withAccessToken?: boolean;
  withApiKey?: boolean;
  import?: string;
}

hardenProcess();
letHeapGrow();

const io: CommandIo = {
  env: takeEnvironment(process.env),
  print,
  warn,
  readInput: readStandardInput,
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
  // Every failure is said in the same shape, by report().
  .configureOutput({ outputError: () => undefined });

withAddress(program.command('serve', { isDefault: true }).description('run the proxy'))
  .option('--server-info <file>', 'write {"port","socket","pid","url"} there once listening')
  .option('--log-level <level>', 'least severe level that is logged')
  .option('--pretty', 'log for people, as on a terminal, instead of JSON')
  .option('--no-pretty', 'log JSON, also on a terminal')
  .option('--allow-unauthenticated', 'listen beyond loopback without client tokens')
  // The default command also gets what is no command at all.
  .allowExcessArguments()
  .action(async (flags: ServeFlags, command: Command) => {
    if (command.args[0] !== undefined) command.error(`unknown command '${command.args[0]}'`);
    const { serve } = await import('./commands/serve.ts');
    await serve({
      env: io.env,
      configFile: flags.config ?? null,
      flags: configLayer(flags),
      serverInfo: flags.serverInfo ?? null,
      pretty: flags.pretty ?? process.stdout.isTTY ?? false,
      allowUnauthenticated: flags.allowUnauthenticated ?? false,
    });
  });

withAddress(
  program.command('healthcheck').description('exit 0 when a running sidecar is ready, else 1'),
).action(async (flags: AddressFlags) => {
  const { healthcheck } = await import('./commands/status/healthcheck.ts');
  const problem = await healthcheck(io.env, flags.config ?? null, configLayer(flags));
  if (problem !== null) throw new Error(`not ready: ${problem}`);
});

program
  .command('login')
  .description('store a credential in auth.json; the token comes from standard input')
  .option('--config <file>', 'configuration file (JSON)')
  .option('--with-agent-identity', 'an Agent Identity JWT')
  .option('--with-access-token', 'an Agent Identity JWT or a personal access token (at-…)')
  .option('--with-api-key', 'an API key')
  .option('--import <file>', "take over a Codex auth.json; the file's login is shared, not moved")
  .action(async (flags: LoginFlags) => {
    const { login } = await import('./commands/login.ts');
    const { readSettings } = await import('./sidecar/settings.ts');
    const { codexHome } = await readSettings(io.env, flags.config ?? null, {});
    print(await login(codexHome, loginInput(flags)));
  });

program
  .command('logout')
  .description('remove the credential from auth.json')
  .option('--config <file>', 'configuration file (JSON)')
  .option('--revoke', 'revoke the refresh token at the backend first')
  .action(async (flags: { config?: string; revoke?: boolean }) => {
    const { logout } = await import('./commands/logout.ts');
    const { readSettings } = await import('./sidecar/settings.ts');
    const settings = await readSettings(io.env, flags.config ?? null, {});
    for (const line of await logout(settings, flags.revoke ?? false)) print(line);
  });

addInspectCommands(program, io);
addAgentCommands(program, io);
addTokenCommand(program, io);

program
  .command('emulator')
  .description('serve an emulated backend, to try the sidecar without an account')
  .option('--host <address>', 'listening address', '127.0.0.1')
  .option('--port <number>', 'TCP port, 0 picks a free one', parsePort, 0)
  .option('--codex-home <folder>', 'write an auth.json of a throw-away login there')
  .action(async (flags: { host: string; port: number; codexHome?: string }) => {
    const { emulator } = await import('./commands/emulator.ts');
    await emulator({ ...flags, codexHome: flags.codexHome ?? null, print });
  });

program
  .command('demo')
  .description('run one turn of each kind through a sidecar against the emulated backend')
  .action(async () => {
    const { demo } = await import('./commands/demo/index.ts');
    await demo(print);
  });

program
  .command('completion')
  .description('print a script that completes commands and options in a shell')
  .addArgument(new Argument('<shell>', 'the shell').choices(SHELLS))
  .action((shell: Shell) => void process.stdout.write(completionScript(program, shell)));

try {
  await program.parseAsync();
} catch (error) {
  process.exitCode = report(error);
}

function loginInput(flags: LoginFlags): LoginInput {
  const chosen: [LoginInput['kind'], boolean][] = [
    ['agentIdentity', flags.withAgentIdentity ?? false],
    ['accessToken', flags.withAccessToken ?? false],
    ['apiKey', flags.withApiKey ?? false],
    ['import', flags.import !== undefined],
  ];
  const kinds = chosen.filter(([, given]) => given).map(([kind]) => kind);
  const [kind] = kinds;
  if (kinds.length !== 1 || !kind) {
    throw new ConfigError(
      'choose one of --with-agent-identity, --with-access-token, --with-api-key and --import',
    );
  }
  if (kind === 'import') return { kind, path: flags.import ?? '' };
  return { kind, readToken: readStandardInput };
}

async function readStandardInput(): Promise<string> {
  if (process.stdin.isTTY) process.stderr.write('token: ');
  return readAllText(process.stdin);
}

function print(line: string): void {
  process.stdout.write(`${line}\n`);
}

function warn(line: string): void {
  process.stderr.write(`codex-auth-sidecar: ${line}\n`);
}

/** Says one line on standard error and gives the exit code. */
function report(error: unknown): number {
  // The help and the version come as errors too.
  if (error instanceof CommanderError && error.exitCode === 0) return 0;
  const text = error instanceof Error ? error.message : String(error);
  warn(describe(error, text.replaceAll(/\s*\n\s*/g, ' ')));
  if (error instanceof ChildStartError) return error.exitCode;
  return error instanceof CommanderError || error instanceof ConfigError ? USAGE : FAILURE;
}

function describe(error: unknown, text: string): string {
  if (error instanceof ConfigError) return `wrong configuration: ${text}`;
  if (!(error instanceof CommanderError)) return text;
  return `${text.replace(/^error: /, '')} (--help lists the commands and options)`;
}
