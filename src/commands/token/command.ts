import { type Command, InvalidArgumentError } from 'commander';
import { systemClock } from '../../base/clock.ts';
import { ConfigError } from '../../base/errors.ts';
import { isTokenName } from '../../clients/client-tokens.ts';
import { readSettings } from '../../sidecar/settings.ts';
import { addGroup } from '../group.ts';
import { type CommandIo, parsePath } from '../options.ts';
import { addTokenOptions, changedToken, newToken, type TokenFlags } from './token-options.ts';
import type { TokensFileOptions } from './tokens-file-editor.ts';

interface Flags extends TokenFlags {
  config?: string;
  file?: string;
}

/** Adds the commands of `token` to the command line. */
export function addTokenCommand(program: Command, io: CommandIo): void {
  const token = addGroup(program, 'token', 'make, change, list and remove client tokens');

  const add = token.command('add').description('make a client token and print it, once');
  addTokenOptions(withFile(add).argument('<name>', 'name of the client', parseName), false).action(
    async (name: string, flags: Flags) => {
      const { addToken } = await import('./tokens-file-editor.ts');
      io.print(await addToken(await tokensFile(flags, io), newToken(name, flags)));
    },
  );

  const set = token.command('set').description('change what a client token may do');
  addTokenOptions(withFile(set).argument('<name>', 'name of the client'), true).action(
    async (name: string, flags: Flags) => {
      const { file: _, config: __, ...changes } = flags;
      if (Object.keys(changes).length === 0) {
        set.error('nothing to change: name a limit, such as --requests 60 or --requests none');
      }
      const { setToken } = await import('./tokens-file-editor.ts');
      await setToken(await tokensFile(flags, io), name, (before) => changedToken(before, changes));
    },
  );

  withFile(token.command('list').description('show names and limits of the tokens')).action(
    async (flags: Flags) => {
      const { listTokens } = await import('./tokens-file-editor.ts');
      const { path } = await tokensFile(flags, io);
      for (const line of await listTokens(path, systemClock())) io.print(line);
    },
  );

  withFile(token.command('remove').description('remove a client token'))
    .argument('<name>', 'name of the client')
    .action(async (name: string, flags: Flags) => {
      const { removeToken } = await import('./tokens-file-editor.ts');
      await removeToken(await tokensFile(flags, io), name);
    });
}

function withFile(command: Command): Command {
  return command
    .option('--config <file>', 'configuration file (JSON)')
    .option('--file <file>', 'file of client tokens, instead of the configured one', parsePath);
}

async function tokensFile(
  { file, config }: Flags,
  { env, warn }: CommandIo,
): Promise<TokensFileOptions> {
  if (file !== undefined) return { path: file, warn };
  const settings = await readSettings(env, config ?? null, {});
  const path = settings.config.clients.tokensFile;
  if (path !== null) return { path, warn };
  throw new ConfigError('no tokens file is configured: set clients.tokensFile, or pass --file');
}

function parseName(text: string): string {
  if (isTokenName(text)) return text;
  throw new InvalidArgumentError('it must be 1 to 64 characters of A-Z a-z 0-9 . _ -');
}
