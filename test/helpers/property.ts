import fc from 'fast-check';
import type { Test } from 'tap';

/** The same cases in every run; another seed can be given to look further. */
const SEED = Number(process.env.PROPERTY_SEED ?? 20_261_121);

/** Asserts a property. The failure names seed, path and the smallest case. */
export function holds<Ts>(
  t: Test,
  property: fc.IProperty<Ts>,
  { numRuns }: { numRuns: number },
): void {
  const result = fc.check(property, { seed: SEED, numRuns, verbose: 1 });
  t.notOk(result.failed, describe(result));
}

/** The same for one that waits. */
export async function holdsAsync<Ts>(
  t: Test,
  property: fc.IAsyncProperty<Ts>,
  { numRuns }: { numRuns: number },
): Promise<void> {
  const result = await fc.check(property, { seed: SEED, numRuns, endOnFailure: true });
  t.notOk(result.failed, describe(result));
}

function describe<Ts>(result: fc.RunDetails<Ts>): string {
  if (!result.failed) return `${result.numRuns} cases hold`;
  const cause = result.errorInstance instanceof Error ? `: ${result.errorInstance.message}` : '';
  return (fc.defaultReportMessage(result) ?? `seed ${result.seed}`) + cause;
}
