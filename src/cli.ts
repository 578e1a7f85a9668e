#!/usr/bin/env node
import { Argument, Command, CommanderError, InvalidArgumentError } from 'commander';
import { painter, wantsColour } from './commands/colour.ts';
import { completionScript, SHELLS, type Shell } from './commands/completion.ts';
import { hardenProcess, takeEnvironment } from './commands/hardening.ts';
import type { LoginInput } from './commands/login.ts';
import { ChildStartError } from './commands/run-process.ts';
import { readAllText } from './commands/standard-input.ts';
import { addTokenCommand } from './commands/token-command.ts';
import { ConfigError, dropUndefined, type PartialConfig } from './config.ts';
import { VERSION } from './version.ts';

/** Exit codes of the command line. */
const FAILURE = 1;
const USAGE = 2;

const WATCH_SECONDS = 2;

interface ServeFlags {
  config?: string;
  host?: string;
  port?: number;
  socket?: string;
  serverInfo?: string;
  logLevel?: string;
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

interface StatusFlags extends ServeFlags {
  url?: string;
  json?: boolean;
  watch?: number | true;
}

interface RunFlags {
  config?: string;
  isolateHome?: boolean;
  logFile?: string;
  logLevel?: string;
  verbose?: boolean;
}

hardenProcess();

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
      env: takeEnvironment(process.env),
      configFile: flags.config ?? null,
      flags: configLayer(flags),
      serverInfo: flags.serverInfo ?? null,
      pretty: flags.pretty ?? process.stdout.isTTY ?? false,
      allowUnauthenticated: flags.allowUnauthenticated ?? false,
    });
  });

withAddress(
  program.command('healthcheck').description('exit 0 when a running sidecar is ready, else 1'),
).action(async (flags: ServeFlags) => {
  const { healthcheck } = await import('./commands/healthcheck.ts');
  const problem = await healthcheck(
    takeEnvironment(process.env),
    flags.config ?? null,
    configLayer(flags),
  );
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
    const { readSettings } = await import('./commands/environment.ts');
    const { codexHome } = await readSettings(
      takeEnvironment(process.env),
      flags.config ?? null,
      {},
    );
    print(await login(codexHome, loginInput(flags)));
  });

program
  .command('logout')
  .description('remove the credential from auth.json')
  .option('--config <file>', 'configuration file (JSON)')
  .option('--revoke', 'revoke the refresh token at the backend first')
  .action(async (flags: { config?: string; revoke?: boolean }) => {
    const { logout } = await import('./commands/logout.ts');
    const { readSettings } = await import('./commands/environment.ts');
    const settings = await readSettings(takeEnvironment(process.env), flags.config ?? null, {});
    for (const line of await logout(settings, flags.revoke ?? false)) print(line);
  });

withAddress(program.command('status').description('ask a running sidecar how it is'))
  .option('--url <url>', 'address of the sidecar')
  .option('--json', 'print the answer of /auth/status')
  .option('--watch [seconds]', 'show it again and again, every 2 seconds', parseSeconds)
  .action(async (flags: StatusFlags) => {
    const { fetchStatus, statusTable, statusTarget } = await import('./commands/status.ts');
    const { readSettings } = await import('./commands/environment.ts');
    const target = flags.url
      ? { url: flags.url }
      : statusTarget(
          (
            await readSettings(
              takeEnvironment(process.env),
              flags.config ?? null,
              configLayer(flags),
            )
          ).config.listen,
        );
    const isTerminal = process.stdout.isTTY;
    const paint = painter(wantsColour(isTerminal, process.env));
    if (flags.watch !== undefined) {
      const { watchStatus } = await import('./commands/status-watch.ts');
      const seconds = flags.watch === true ? WATCH_SECONDS : flags.watch;
      await watchStatus({
        target,
        intervalMs: seconds * 1000,
        form: flags.json ? 'json' : isTerminal ? 'table' : 'line',
        paint,
        write: (text) => void process.stdout.write(text),
        signal: interrupted(),
      });
      return;
    }
    const status = await fetchStatus(target);
    if (flags.json) print(JSON.stringify(status));
    else for (const line of statusTable(status, paint)) print(line);
    if (status.status !== 'ready' && status.status !== 'degraded') process.exitCode = FAILURE;
  });

addTokenCommand(program, print);

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
    const { run } = await import('./commands/run.ts');
    process.exitCode = await run({
      env: takeEnvironment(process.env),
      configFile: flags.config ?? null,
      logFile: flags.logFile ?? null,
      logLevel: flags.logLevel ?? null,
      verbose: flags.verbose ?? false,
      isolateHome: flags.isolateHome ?? false,
      command: [command, ...args],
      warn,
    });
  });

withAddress(program.command('doctor').description('check everything that a request needs'))
  .option('--json', 'print the findings as JSON')
  .action(async (flags: ServeFlags & { json?: boolean }) => {
    const { doctor } = await import('./commands/doctor.ts');
    const { findingLine, isUnicode } = await import('./commands/doctor-finding.ts');
    const unicode = isUnicode(process.env);
    const findings = await doctor({
      env: process.env,
      configFile: flags.config ?? null,
      flags: configLayer(flags),
      nodeVersion: process.versions.node,
      report: (finding) => {
        if (!flags.json) print(findingLine(finding, unicode));
      },
    });
    if (flags.json) print(JSON.stringify(findings));
    if (findings.some(({ outcome }) => outcome === 'failure')) process.exitCode = FAILURE;
  });

withAddress(
  program.command('codex-config').description('print the config.toml that points Codex here'),
)
  .option('--url <url>', 'address of the sidecar as Codex sees it')
  .option('--token-file <file>', 'file that holds the client token, - for standard input')
  .option('--write', 'put it into config.toml in CODEX_HOME (default ~/.codex)')
  .action(async (flags: ServeFlags & { url?: string; tokenFile?: string; write?: boolean }) => {
    const { codexConfig } = await import('./commands/codex-config.ts');
    await codexConfig({
      env: process.env,
      configFile: flags.config ?? null,
      flags: configLayer(flags),
      url: flags.url ?? null,
      tokenFile: flags.tokenFile ?? null,
      readInput: readStandardInput,
      write: flags.write ?? false,
      print,
      warn,
    });
  });

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
    const { demo } = await import('./commands/demo.ts');
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

function withAddress(command: Command): Command {
  return command
    .option('--config <file>', 'configuration file (JSON)')
    .option('--host <address>', 'listening address')
    .option('--port <number>', 'TCP port, 0 picks a free one', parsePort)
    .option('--socket <path>', 'Unix socket in place of host and port');
}

function configLayer(flags: ServeFlags): PartialConfig {
  const { host, port, socket, logLevel } = flags;
  return {
    listen: dropUndefined({ host, port, socket }),
    log: dropUndefined({ level: logLevel }),
  };
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

function parsePort(value: string): number {
  const port = Number(value);
  if (!/^\d{1,5}$/.test(value) || port > 65535) {
    throw new InvalidArgumentError('it must be a number from 0 to 65535');
  }
  return port;
}

function parseSeconds(value: string): number {
  const seconds = Number(value);
  if (!(seconds >= 0.1 && seconds <= 86_400)) {
    throw new InvalidArgumentError('it must be a number of seconds from 0.1 to 86400');
  }
  return seconds;
}

/** Ends with the first signal that asks for it; the exit code stays what it is. */
function interrupted(): AbortSignal {
  const abort = new AbortController();
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => abort.abort());
  return abort.signal;
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
