import { type DestinationStream, type Logger, pino, stdTimeFunctions } from 'pino';
import { onOneLine } from './printable.ts';

export type { Logger };

/** How a line says its level: `"warn"`, or 40. */
export type LevelNames = 'words' | 'numbers';

interface LoggerOptions {
  level: string;
  /** Words when absent. */
  levelNames?: LevelNames;
  /** Where the lines go; standard output when absent. */
  destination?: DestinationStream;
}

/**
 * JSON lines. Requests are logged by method and path: a query may hold anything. Errors are logged
 * by type, message, code and, at debug, stack; other fields of an error are left out, because
 * libraries hang requests and headers on them.
 */
export function createLogger(options: LoggerOptions): Logger {
  const settings = {
    level: options.level,
    base: null,
    timestamp: stdTimeFunctions.isoTime,
    formatters: {
      level: (name: string, number: number) => ({
        level: options.levelNames === 'numbers' ? number : name,
      }),
    },
    redact: ['headers.authorization', '*.headers.authorization'],
    serializers: {
      err: (error: unknown) => describeError(error, options.level),
      req: (request: { method?: string; url?: string }) => ({
        method: request.method,
        path: request.url?.split('?', 1)[0],
      }),
      res: (response: { statusCode?: number }) => ({ status: response.statusCode }),
    },
  };
  return options.destination ? pino(settings, options.destination) : pino(settings);
}

function describeError(error: unknown, level: string): object {
  if (!(error instanceof Error)) return { message: onOneLine(String(error)) };
  const { code } = error as { code?: unknown };
  return {
    type: error.name,
    message: onOneLine(error.message),
    ...(typeof code === 'string' ? { code } : {}),
    ...(error.cause instanceof Error ? { cause: onOneLine(error.cause.message) } : {}),
    ...(level === 'debug' || level === 'trace' ? { stack: error.stack } : {}),
  };
}
