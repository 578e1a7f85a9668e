/** What facts are about, in the order of a report. */
export const TOPICS = [
  'requests',
  'headers',
  'query',
  'bodies',
  'destinations',
  'reactions',
  'auth.json',
  'schema',
] as const;

export type Topic = (typeof TOPICS)[number];

/**
 * One thing that a Codex was seen to do. Two runs of one Codex give the same facts: what changes from
 * run to run (ids, tokens, times, ports) has been replaced.
 */
export interface Fact {
  topic: Topic;
  /** What it says something about, such as a request. */
  subject: string;
  /** Empty where the subject alone is the fact. */
  value: string;
}

/** Collects facts, each once. */
export class FactBook {
  readonly #facts = new Map<string, Fact>();

  add(topic: Topic, subject: string, value = ''): void {
    this.#facts.set(JSON.stringify([topic, subject, value]), { topic, subject, value });
  }

  /** In an order that does not depend on when they were added. */
  get list(): Fact[] {
    return [...this.#facts].sort(([a], [b]) => (a < b ? -1 : 1)).map(([, fact]) => fact);
  }
}
