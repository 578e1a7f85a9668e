/** Tokens of a model that responses took in and gave out. */
export interface ModelTokens {
  input: number;
  output: number;
}

/** Tokens of one day by client. */
export type TokensOfDay = ReadonlyMap<string, Readonly<ModelTokens>>;

const DAY_MS = 86_400_000;
/** A clock that steps over midnight and back finds the day that it left. */
const DAYS_KEPT = 3;

/** Number of the day in UTC that a time of day falls into. @param time milliseconds since 1970 */
export function dayOf(time: number): number {
  return Math.floor(time / DAY_MS);
}

/** When the next day begins in UTC; milliseconds since 1970. */
export function nextDayAt(time: number): number {
  return (dayOf(time) + 1) * DAY_MS;
}

/** Milliseconds until then. */
export function untilNextDay(time: number): number {
  return nextDayAt(time) - time;
}

/** The day that {@link dayText} writes so; null for any other text. */
export function parseDay(text: string): number | null {
  const time = /^\d{4}-\d\d-\d\d$/.test(text) ? Date.parse(`${text}T00:00:00Z`) : Number.NaN;
  return Number.isNaN(time) || dayText(dayOf(time)) !== text ? null : dayOf(time);
}

/** `2027-01-31`, for files and people. */
export function dayText(day: number): string {
  return new Date(day * DAY_MS).toISOString().slice(0, 10);
}

/** Counts tokens by client and day, for the few days that were used last. */
export class DailyTokens {
  /** The day that was used last comes last. */
  readonly #days = new Map<number, Map<string, ModelTokens>>();
  /** Called after each change. */
  changed: () => void = () => undefined;

  add(client: string, { input, output }: ModelTokens, day: number): void {
    const clients = this.#use(day);
    const before = clients.get(client);
    if (before) {
      before.input += input;
      before.output += output;
    } else {
      clients.set(client, { input, output });
    }
    this.changed();
  }

  of(client: string, day: number): ModelTokens {
    return this.#days.get(day)?.get(client) ?? { input: 0, output: 0 };
  }

  /** Every day that is kept. */
  get days(): ReadonlyMap<number, TokensOfDay> {
    return this.#days;
  }

  #use(day: number): Map<string, ModelTokens> {
    const clients = this.#days.get(day) ?? new Map<string, ModelTokens>();
    this.#days.delete(day);
    this.#days.set(day, clients);
    if (this.#days.size > DAYS_KEPT) {
      const [oldest = day] = this.#days.keys();
      this.#days.delete(oldest);
    }
    return clients;
  }
}
