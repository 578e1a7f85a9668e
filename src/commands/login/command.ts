import type { Command } from 'commander';
import { ConfigError } from '../../base/errors.ts';
import type { CommandIo } from '../options.ts';
import type { LoginInput } from './index.ts';
import { chooseWay, type LoginWay, WAYS } from './ways.ts';

interface LoginFlags {
  config?: string;
  deviceAuth?: boolean;
  withAgentIdentity?: boolean;
  withAccessToken?: boolean;
  withApiKey?: boolean;
  import?: string;
  take?: boolean;
  replace?: boolean;
}

export function addLoginCommand(program: Command, io: CommandIo): void {
  program
    .command('login')
    .description('sign in, or store a token from standard input; asks which without an option')
    .option('--config <file>', 'configuration file (JSON)')
    .option(WAYS.deviceAuth.flag, 'sign in with ChatGPT: a code here, a browser anywhere')
    .option('--replace', 'with --device-auth: give up the credential of another account')
    .option(WAYS.agentIdentity.flag, 'an Agent Identity JWT')
    .option(WAYS.accessToken.flag, 'an Agent Identity JWT or a personal access token (at-…)')
    .option(WAYS.apiKey.flag, 'an API key')
    .option('--import <file>', "take over a Codex auth.json; the file's login is shared, not moved")
    .option('--take', 'with --import: move the login, so that the file no longer holds it')
    .action((flags: LoginFlags) => signIn(flags, io));
}

async function signIn(flags: LoginFlags, io: CommandIo): Promise<void> {
  const way = await chooseWay(waysOf(flags), io);
  const { take = false, replace = false } = flags;
  if (take && way !== 'import') throw new ConfigError('--take goes with --import');
  if (replace && way !== 'deviceAuth') throw new ConfigError('--replace goes with --device-auth');
  const { login, takeLogin } = await import('./index.ts');
  const { readSettings } = await import('../../sidecar/settings.ts');
  const { withStore } = await import('../store/with-store.ts');
  const settings = await readSettings(io.env, flags.config ?? null, {});
  if (way === 'deviceAuth') {
    const { loginWithDevice } = await import('./device.ts');
    const signal = abortedBySignal();
    io.print(
      await withStore(settings, io.warn, (store) =>
        loginWithDevice(store, settings, replace, io, signal),
      ),
    );
    return;
  }
  const input = await loginInput(way, flags, io);
  const work = take ? takeLogin : login;
  io.print(await withStore(settings, io.warn, (store) => work(store, input)));
}

function waysOf(flags: LoginFlags): LoginWay[] {
  const given: Record<LoginWay, boolean> = {
    deviceAuth: flags.deviceAuth ?? false,
    agentIdentity: flags.withAgentIdentity ?? false,
    accessToken: flags.withAccessToken ?? false,
    apiKey: flags.withApiKey ?? false,
    import: flags.import !== undefined,
  };
  return (Object.keys(given) as LoginWay[]).filter((way) => given[way]);
}

async function loginInput(
  kind: Exclude<LoginWay, 'deviceAuth'>,
  flags: LoginFlags,
  { readInput, ask }: CommandIo,
): Promise<LoginInput> {
  if (kind !== 'import') return { kind, readToken: readInput };
  const path = flags.import ?? (await ask?.('Path of the auth.json: '))?.trim() ?? '';
  return { kind, path, take: flags.take ?? false };
}

function abortedBySignal(): AbortSignal {
  const abort = new AbortController();
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => abort.abort());
  return abort.signal;
}
