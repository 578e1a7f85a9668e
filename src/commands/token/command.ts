import { type Command, InvalidArgumentError, Option } from 'commander';
import { systemClock } from '../../base/clock.ts';
import { ConfigError } from '../../base/errors.ts';
import {
  isTokenName,
  PURPOSES,
  type Purpose,
  parsePatterns,
  parseTime,
} from '../../clients/client-tokens.ts';
import { readSettings } from '../../sidecar/settings.ts';
import { addGroup } from '../group.ts';
import { type CommandIo, parsePath } from '../options.ts';
import type { TokensFileOptions } from './tokens-file-editor.ts';

interface Flags {
  config?: string;
  file?: string;
  /** Milliseconds since 1970. */
  expires?: number;
  for?: Purpose;
  routes?: string[];
  allRoutes?: boolean;
}

/** Adds `token add`, `token list` and `token remove` to the command line. */
export function addTokenCommand(program: Command, io: CommandIo): void {
  const token = addGroup(program, 'token', 'make, list and remove client tokens');

  withFile(token.command('add').description('make a client token and print it, once'))
    .argument('<name>', 'name of the client', parseName)
    .option('--expires <when>', 'after 90m, 12h or 30d, or at 2027-01-31T00:00:00Z', parseExpiry)
    .option(
      '--routes <paths>',
      'allow these paths only: /path or /prefix/*, comma-separated',
      parseRoutes,
    )
    .addOption(
      new Option('--for <purpose>', 'what the client needs; inference where nothing is given')
        .choices(Object.keys(PURPOSES))
        .conflicts(['routes', 'allRoutes']),
    )
    .addOption(
      new Option('--all-routes', 'allow every path that "routes" allows, the reload too').conflicts(
        'routes',
      ),
    )
    .action(async (name: string, flags: Flags) => {
      const { addToken } = await import('./tokens-file-editor.ts');
      const { expires: expiresAt = null, routes = null, allRoutes = false } = flags;
      const purpose = flags.for ?? (routes === null && !allRoutes ? 'inference' : null);
      const token = { name, expiresAt, purpose, routes, limits: null };
      io.print(await addToken(await tokensFile(flags, io), token));
    });

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

const UNITS: Record<string, number> = { m: 60_000, h: 3_600_000, d: 86_400_000 };

/** Milliseconds of a duration such as `90m`, `12h` or `30d`; null if `text` is not a duration. */
function parseDuration(text: string): number | null {
  const [, count, unit = ''] = /^([1-9]\d{0,4})([mhd])$/.exec(text) ?? [];
  return count === undefined ? null : Number(count) * (UNITS[unit] ?? 0);
}

function parseExpiry(text: string): number {
  const now = systemClock();
  const duration = parseDuration(text);
  const time = duration === null ? parseTime(text) : now + duration;
  if (time === null) {
    throw new InvalidArgumentError(
      'it must be a duration or time such as 90m, 12h, 30d or 2027-01-31T00:00:00Z',
    );
  }
  if (time <= now) throw new InvalidArgumentError('it is in the past');
  // The file holds whole seconds.
  return Math.floor(time / 1000) * 1000;
}

function parseRoutes(text: string): string[] {
  const routes = parsePatterns(text);
  if (routes !== null) return routes;
  throw new InvalidArgumentError('it must be comma-separated paths such as /backend-api/codex/*');
}
