import { addTokens, type FinishedTurn, type TokenUsage } from '../base/token-usage.ts';
import { dayOf, dayText } from './daily-tokens.ts';

/** What turns took. */
export interface Usage {
  turns: number;
  /** Turns whose tokens are not known: they could not be read, or broke off. */
  unknown: number;
  tokens: TokenUsage;
}

/** What one client took in one day of UTC. */
export interface DayUsage extends Usage {
  /** `2027-01-31`. */
  day: string;
  /** Requests and upgrades that have ended. */
  requests: number;
  models: Record<string, Usage>;
}

interface ClientDay {
  requests: number;
  models: Map<string, Usage>;
}

/** A week to compare with, and today. */
const DAYS_KEPT = 8;
const NO_TOKENS: TokenUsage = { input: 0, cached: 0, output: 0, reasoning: 0 };
/** Key of those that need no token. No token has an empty name. */
const NOBODY = '';

/**
 * What each client took, by day and model. The number of clients is bounded by the tokens file, and
 * that of models by {@link FinishedTurn}'s maker. Of the days, those that were used last are kept: a
 * clock that jumps to another year and back finds the days that it left.
 */
export class UsageBook {
  /** The day that was used last comes last. */
  readonly #days = new Map<number, Map<string, ClientDay>>();
  #last: { day: number; clients: Map<string, ClientDay> } | null = null;

  /** @param now milliseconds since 1970; says which day it counts for */
  addTurn(client: string | null, { model, usage, unknown }: FinishedTurn, now: number): void {
    const { models } = this.#of(client, now);
    const name = model ?? 'unknown';
    const before = models.get(name) ?? { turns: 0, unknown: 0, tokens: NO_TOKENS };
    models.set(name, {
      turns: before.turns + 1,
      unknown: before.unknown + (unknown ? 1 : 0),
      tokens: usage ? addTokens(before.tokens, usage) : before.tokens,
    });
  }

  addRequest(client: string | null, now: number): void {
    this.#of(client, now).requests++;
  }

  /** Everyone who took something in the days that are kept; null is whoever needs no token. */
  get clients(): (string | null)[] {
    const names = [...this.#days.values()].flatMap((clients) => [...clients.keys()]);
    return [...new Set(names)].map((name) => (name === NOBODY ? null : name));
  }

  /** What a client took, newest day first. */
  of(client: string | null): DayUsage[] {
    const days = [...this.#days].sort(([a], [b]) => b - a);
    return days.flatMap(([day, clients]) => {
      const found = clients.get(client ?? NOBODY);
      return found ? dayUsage(day, found) : [];
    });
  }

  today(client: string | null, now: number): DayUsage {
    const day = dayOf(now);
    const found = this.#days.get(day)?.get(client ?? NOBODY);
    return dayUsage(day, found ?? { requests: 0, models: new Map() });
  }

  #of(client: string | null, now: number): ClientDay {
    const clients = this.#use(dayOf(now));
    const name = client ?? NOBODY;
    let found = clients.get(name);
    if (!found) {
      found = { requests: 0, models: new Map() };
      clients.set(name, found);
    }
    return found;
  }

  #use(day: number): Map<string, ClientDay> {
    // Nearly every time, and putting it last in the map again would take longer than all the rest.
    if (this.#last?.day === day) return this.#last.clients;
    const clients = this.#days.get(day) ?? new Map<string, ClientDay>();
    this.#days.delete(day);
    this.#days.set(day, clients);
    this.#last = { day, clients };
    if (this.#days.size > DAYS_KEPT) {
      const [oldest = day] = this.#days.keys();
      this.#days.delete(oldest);
    }
    return clients;
  }
}

function dayUsage(day: number, { requests, models }: ClientDay): DayUsage {
  const usages = [...models.values()];
  return {
    day: dayText(day),
    requests,
    turns: sum(usages, ({ turns }) => turns),
    unknown: sum(usages, ({ unknown }) => unknown),
    tokens: usages.reduce((total, { tokens }) => addTokens(total, tokens), NO_TOKENS),
    models: Object.fromEntries(models),
  };
}

function sum<T>(values: readonly T[], of: (value: T) => number): number {
  return values.reduce((total, value) => total + of(value), 0);
}
