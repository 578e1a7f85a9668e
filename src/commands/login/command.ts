import type { Command } from 'commander';
import { ConfigError } from '../../base/errors.ts';
import type { CommandIo } from '../options.ts';
import type { LoginInput } from './index.ts';

interface LoginFlags {
  config?: string;
  withAgentIdentity?: boolean;
  withAccessToken?: boolean;
  withApiKey?: boolean;
  import?: string;
  take?: boolean;
}

export function addLoginCommand(program: Command, io: CommandIo): void {
  program
    .command('login')
    .description('store a credential in auth.json; the token comes from standard input')
    .option('--config <file>', 'configuration file (JSON)')
    .option('--with-agent-identity', 'an Agent Identity JWT')
    .option('--with-access-token', 'an Agent Identity JWT or a personal access token (at-…)')
    .option('--with-api-key', 'an API key')
    .option('--import <file>', "take over a Codex auth.json; the file's login is shared, not moved")
    .option('--take', 'with --import: move the login, so that the file no longer holds it')
    .action(async (flags: LoginFlags) => {
      const { login, takeLogin } = await import('./index.ts');
      const { readSettings } = await import('../../sidecar/settings.ts');
      const { withStore } = await import('../store/with-store.ts');
      const settings = await readSettings(io.env, flags.config ?? null, {});
      const input = loginInput(flags, io);
      const work = input.kind === 'import' && input.take ? takeLogin : login;
      io.print(await withStore(settings, (store) => work(store, input)));
    });
}

function loginInput(flags: LoginFlags, { readInput }: CommandIo): LoginInput {
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
  const take = flags.take ?? false;
  if (kind === 'import') return { kind, path: flags.import ?? '', take };
  if (take) throw new ConfigError('--take goes with --import');
  return { kind, readToken: readInput };
}
