import { createLogger, type Logger } from '../../src/base/logger.ts';

export interface CapturedLog {
  log: Logger;
  /** Everything that was written. */
  text(): string;
  entries(): Record<string, unknown>[];
  /** Messages of the warnings. */
  warnings(): string[];
}

export function captureLog(level = 'debug'): CapturedLog {
  const lines: string[] = [];
  const destination = {
    write(line: string) {
      lines.push(line);
    },
  };
  const entries = () => lines.map((line) => JSON.parse(line) as Record<string, unknown>);
  return {
    log: createLogger({ level, destination }),
    text: () => lines.join(''),
    entries,
    warnings: () =>
      entries()
        .filter((entry) => entry.level === 'warn')
        .map((entry) => String(entry.msg)),
  };
}
