import { onOneLine } from '../../base/printable.ts';
import type { Environment } from '../../sidecar/settings.ts';

/** The result of a check; it contains no secret. */
export interface Finding {
  check: string;
  /** `absent`: it is not there, and need not be. */
  outcome: 'ok' | 'absent' | 'warning' | 'failure';
  message: string;
  /** What to do about it; null when there is nothing to do. */
  remedy: string | null;
}

export function ok(check: string, message: string): Finding {
  return { check, outcome: 'ok', message, remedy: null };
}

export function absent(check: string, message: string): Finding {
  return { check, outcome: 'absent', message, remedy: null };
}

export function warning(check: string, message: string, remedy: string | null): Finding {
  return { check, outcome: 'warning', message, remedy };
}

export function failure(check: string, message: string, remedy: string | null): Finding {
  return { check, outcome: 'failure', message, remedy };
}

export interface Check {
  name: string;
  run: () => Finding[] | Promise<Finding[]>;
}

/** Checks that run at the same time; they mostly wait for the network. */
const CONCURRENCY = 4;

/**
 * Runs the checks, a few at once, and reports each result in order as soon as it is available.
 * @param timeLimitMs for each check; a check that has no result by then counts as failed
 */
export async function runChecks(
  checks: readonly Check[],
  timeLimitMs: number,
  report: (finding: Finding) => void,
): Promise<Finding[]> {
  const lanes = Array.from({ length: CONCURRENCY }, () => Promise.resolve<Finding[]>([]));
  const results = checks.map((check, index) => {
    const lane = index % CONCURRENCY;
    const result = (lanes[lane] as Promise<Finding[]>).then(() => settle(check, timeLimitMs));
    lanes[lane] = result;
    return result;
  });
  const all: Finding[] = [];
  for (const result of results) {
    const findings = await result;
    for (const finding of findings) report(finding);
    all.push(...findings);
  }
  return all;
}

function settle(check: Check, timeLimitMs: number): Promise<Finding[]> {
  return new Promise((resolve) => {
    const problem = (text: string) => resolve([failure(check.name, text, null)]);
    const timer = setTimeout(
      () => problem(`no result within ${timeLimitMs / 1000} s`),
      timeLimitMs,
    );
    const running = (async () => check.run())();
    running
      .then(resolve, (error) => problem(error instanceof Error ? error.message : 'failed'))
      .finally(() => clearTimeout(timer));
  });
}

const SIGNS = {
  unicode: { ok: '✓', absent: '–', warning: '!', failure: '✗' },
  ascii: { ok: '+', absent: '-', warning: '!', failure: 'x' },
};

/** Formats a finding as one line of text. */
export function findingLine(finding: Finding, unicode: boolean): string {
  const { check, outcome, message, remedy } = finding;
  const sign = SIGNS[unicode ? 'unicode' : 'ascii'][outcome];
  return onOneLine(`${sign} ${check.padEnd(24)} ${message}${remedy === null ? '' : `; ${remedy}`}`);
}

/** Whether the locale allows more than ASCII; without a locale we assume so, as most terminals do. */
export function isUnicode(env: Environment): boolean {
  const locale = env.LC_ALL || env.LC_CTYPE || env.LANG;
  return !locale || /utf-?8/i.test(locale);
}
