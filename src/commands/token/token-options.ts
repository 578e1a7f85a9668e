import { type Command, InvalidArgumentError, Option } from 'commander';
import { systemClock } from '../../base/clock.ts';
import {
  type ClientToken,
  PURPOSES,
  type Purpose,
  parsePatterns,
  parseTime,
} from '../../clients/client-tokens.ts';
import {
  type ClientLimits,
  COUNT_FORM,
  isUnlimited,
  MODELS_FORM,
  NO_LIMITS,
  parseCount,
  parseModels,
} from '../../clients/limits.ts';

/** Takes a limit away. Not null, which the library for the command line turns into an empty text. */
const NONE = 'none';

/** What the options say of a token; what is absent stays as it is. */
export interface TokenFlags {
  /** Milliseconds since 1970. */
  expires?: number | typeof NONE;
  for?: Purpose;
  routes?: string[] | typeof NONE;
  allRoutes?: boolean;
  requests?: number | typeof NONE;
  streams?: number | typeof NONE;
  inputTokens?: number | typeof NONE;
  outputTokens?: number | typeof NONE;
  models?: string[] | typeof NONE;
}

type Parser = (text: string) => unknown;

/** @param mayRemove whether `none` takes a limit away */
export function addTokenOptions(command: Command, mayRemove: boolean): Command {
  const limit = (flags: string, description: string, parse: Parser) => {
    const orNone: Parser = (text) => (text === NONE ? NONE : parse(text));
    const [what, read] = mayRemove ? [`${description}, or none`, orNone] : [description, parse];
    command.addOption(new Option(flags, what).argParser(read));
  };
  limit('--expires <when>', 'after 90m, 12h or 30d, or at 2027-01-31T00:00:00Z', parseExpiry);
  const reach = mayRemove
    ? 'allow these paths, beside --for if the token has one'
    : 'allow these paths only';
  limit('--routes <paths>', `${reach}: /path or /prefix/*, comma-separated`, parseRoutes);
  const unset = mayRemove ? '' : '; inference where nothing is given';
  command.addOption(
    new Option('--for <purpose>', `what the client needs${unset}`)
      .choices(Object.keys(PURPOSES))
      .conflicts(mayRemove ? 'allRoutes' : ['routes', 'allRoutes']),
  );
  command.addOption(
    new Option('--all-routes', 'allow every path that "routes" allows, the reload too').conflicts(
      'routes',
    ),
  );
  limit('--requests <n>', 'requests a minute', parseNumber);
  limit('--streams <n>', 'streams at once', parseNumber);
  limit('--input-tokens <n>', 'input tokens a day', parseNumber);
  limit('--output-tokens <n>', 'output tokens a day', parseNumber);
  limit('--models <names>', 'models, comma-separated; * at an end', parseModelNames);
  return command;
}

/** The token that a new one with these options is. */
export function newToken(name: string, flags: TokenFlags): ClientToken {
  const { routes, allRoutes = false } = flags;
  const purpose = routes === undefined && !allRoutes ? 'inference' : null;
  const token = { name, expiresAt: null, purpose, routes: null, limits: null } as const;
  return changedToken(token, flags);
}

/**
 * What `token` becomes; what no option names stays.
 * @throws Error when it would reach every path, and nobody has said so
 */
export function changedToken(token: ClientToken, flags: TokenFlags): ClientToken {
  const { expires, routes, allRoutes = false } = flags;
  const limits = changedLimits(token.limits ?? NO_LIMITS, flags);
  if (routes === NONE && token.routes !== null && !allRoutes && !(flags.for ?? token.purpose)) {
    throw new Error(
      `without its routes the token "${token.name}" would reach every path; say --for inference, or --all-routes`,
    );
  }
  const changed = {
    ...token,
    expiresAt: chosen(expires, token.expiresAt),
    routes: chosen(routes, token.routes),
    ...(allRoutes ? { purpose: null, routes: null } : {}),
    limits: isUnlimited(limits) ? null : limits,
  };
  return flags.for === undefined ? changed : { ...changed, purpose: flags.for };
}

function changedLimits(limits: ClientLimits, flags: TokenFlags): ClientLimits {
  const { requests, streams, inputTokens, outputTokens, models } = flags;
  return {
    requestsPerMinute: chosen(requests, limits.requestsPerMinute),
    streams: chosen(streams, limits.streams),
    inputTokensPerDay: chosen(inputTokens, limits.inputTokensPerDay),
    outputTokensPerDay: chosen(outputTokens, limits.outputTokensPerDay),
    models: chosen(models, limits.models),
  };
}

function chosen<T>(given: T | typeof NONE | undefined, before: T | null): T | null {
  if (given === undefined) return before;
  return given === NONE ? null : given;
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

function parseNumber(text: string): number {
  const count = parseCount(text);
  if (count !== null) return count;
  throw new InvalidArgumentError(`it must be ${COUNT_FORM}`);
}

function parseModelNames(text: string): string[] {
  const models = parseModels(text);
  if (models !== null) return models;
  throw new InvalidArgumentError(`it must be ${MODELS_FORM}`);
}
