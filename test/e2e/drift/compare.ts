import type { Fact, Topic } from './facts.ts';

/** A fact of one side only: of the older Codex (`-`), or of the newer one (`+`). */
export interface Change extends Fact {
  sign: '+' | '-';
}

/** Topics whose facts are details of what is listed under `requests`. */
export const DETAILS: readonly Topic[] = ['headers', 'query', 'bodies'];

/**
 * What differs. Of a request that one side does not send at all nothing is said but that: its details
 * are no change.
 */
export function compareFacts(older: readonly Fact[], newer: readonly Fact[]): Change[] {
  const common = commonRequests(older, newer);
  const counts = ({ topic, subject }: Fact) => !DETAILS.includes(topic) || common.has(subject);
  const onlyIn = (here: readonly Fact[], there: readonly Fact[]) => {
    const others = new Set(there.map(keyOf));
    return here.filter((fact) => counts(fact) && !others.has(keyOf(fact)));
  };
  return [
    ...onlyIn(older, newer).map((fact) => ({ ...fact, sign: '-' as const })),
    ...onlyIn(newer, older).map((fact) => ({ ...fact, sign: '+' as const })),
  ];
}

/** Requests that both send. */
export function commonRequests(older: readonly Fact[], newer: readonly Fact[]): Set<string> {
  const known = requestsIn(older);
  return new Set([...requestsIn(newer)].filter((request) => known.has(request)));
}

function requestsIn(facts: readonly Fact[]): Set<string> {
  return new Set(facts.filter(({ topic }) => topic === 'requests').map(({ subject }) => subject));
}

function keyOf({ topic, subject, value }: Fact): string {
  return JSON.stringify([topic, subject, value]);
}
