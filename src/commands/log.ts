import { createLogger, type LevelNames, type Logger } from '../base/logger.ts';
import { printable } from '../base/printable.ts';
import type { LineOutput } from '../files/line-output.ts';

/** At an exit, unread lines of the log are waited for this long. */
export const LAST_LINES_MS = 2_000;

export interface LogForm {
  level: string;
  levelNames: LevelNames;
  /** Lines for people instead of JSON. */
  pretty: boolean;
  colour: boolean;
}

/** The log of a command. It waits for no reader; lines that were lost are counted in a later one. */
export async function openLog(output: LineOutput, form: LogForm): Promise<Logger> {
  const { level, levelNames } = form;
  const write = form.pretty ? await prettyWriter(output, form.colour) : jsonWriter(output);
  const log = createLogger({ level, levelNames, destination: { write } });
  output.onResumed = (lost) => log.warn({ lost }, 'lines of this log were lost: nobody read it');
  return log;
}

function jsonWriter(output: LineOutput) {
  return (line: string) => output.write(`${printable(line.trimEnd())}\n`);
}

async function prettyWriter(output: LineOutput, colorize: boolean) {
  // The bundle gives a CommonJS module only its default export.
  const { default: pinoPretty } = await import('pino-pretty');
  const pretty = pinoPretty.prettyFactory({ colorize });
  // The parser undoes the escapes of JSON.
  return (line: string) => output.write(pretty(JSON.parse(line, escapeText)));
}

function escapeText(name: string, value: unknown): unknown {
  if (typeof value !== 'string') return value;
  // A stack keeps its lines, which are indented.
  return name === 'stack' ? value.split('\n').map(printable).join('\n') : printable(value);
}
