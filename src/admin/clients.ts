import { wholeSeconds } from '../base/clock.ts';
import type { ClientToken } from '../clients/client-tokens.ts';
import type { ClientCounters, ClientCounts } from '../clients/counters.ts';
import type { ClientLimits } from '../clients/limits.ts';
import type { DayUsage, UsageBook } from '../clients/usage-book.ts';
import type { AccountLimit } from '../telemetry/account-limits.ts';

/** `valid`: it may call; `expired`: it may no more; `removed`: its token is gone. */
export type ClientState = 'valid' | 'expired' | 'removed';

/** A limit of a client, and how much of it is used. */
export interface UsedLimit {
  /** As the tokens file calls it. */
  name: string;
  limit: number;
  used: number;
}

export interface ClientDocument {
  /** null: everybody, where clients need no token. */
  name: string | null;
  state: ClientState;
  expiresAt: string | null;
  /** null where they are not counted by client. */
  requestsLastMinute: number | null;
  openStreams: number | null;
  /** Of this day in UTC. */
  today: DayUsage;
  limits: UsedLimit[];
  /** Names, or beginnings that end in `*`; null: every model. */
  models: readonly string[] | null;
}

/** Body of `GET /auth/clients`. */
export interface ClientsDocument {
  /** Whether the tokens of responses are counted. */
  usageRead: boolean;
  accountLimits: readonly AccountLimit[];
  clients: (ClientDocument & {
    /** Newest first, today included; days without a request are left out. */
    days: DayUsage[];
  })[];
}

/** The same for the status page, which follows it. */
export interface ClientsEvent {
  usageRead: boolean;
  /** Those that took most today. */
  clients: ClientDocument[];
  /** Clients that are left out. */
  more: number;
}

/** A page with more rows is of no use, and each change of one goes to every reader. */
export const MOST_SHOWN = 50;

export interface ClientsInput {
  usageRead: boolean;
  /** null: clients need no token. */
  tokens: readonly ClientToken[] | null;
  counters: Pick<ClientCounters, 'of'>;
  book: Pick<UsageBook, 'clients' | 'of' | 'today'>;
  accountLimits: readonly AccountLimit[];
  /** Milliseconds since 1970. */
  now: number;
}

export function buildClients(input: ClientsInput): ClientsDocument {
  const { usageRead, accountLimits, book } = input;
  const clients = rowsOf(input).map((row) => ({ ...row, days: book.of(row.name) }));
  return { usageRead, accountLimits, clients };
}

export function buildClientsEvent(input: ClientsInput): ClientsEvent {
  const rows = rowsOf(input);
  const taken = ({ today: { tokens, requests } }: ClientDocument) =>
    tokens.input + tokens.output + requests;
  const clients =
    rows.length > MOST_SHOWN
      ? rows.toSorted((a, b) => taken(b) - taken(a)).slice(0, MOST_SHOWN)
      : rows;
  return { usageRead: input.usageRead, clients, more: rows.length - clients.length };
}

/** In the order of the tokens file; behind it those that are gone. */
function rowsOf({ tokens, counters, book, now }: ClientsInput): ClientDocument[] {
  const known = (tokens ?? []).map(({ name, expiresAt, limits }): ClientDocument => {
    const counts = counters.of(name, now);
    const { requestsLastMinute, openStreams } = counts;
    return {
      name,
      state: expiresAt !== null && expiresAt <= now ? 'expired' : 'valid',
      expiresAt: expiresAt === null ? null : wholeSeconds(expiresAt),
      ...{ requestsLastMinute, openStreams, today: book.today(name, now) },
      ...{ limits: usedLimits(limits, counts), models: limits?.models ?? null },
    };
  });
  const listed = new Set<string | null>(known.map(({ name }) => name));
  const others: (string | null)[] = book.clients.filter((name) => !listed.has(name));
  if (tokens === null && !others.includes(null)) others.unshift(null);
  return [...known, ...others.map((name) => unlisted(name, counters, book.today(name, now), now))];
}

/** A client whose token is gone, or all those that need none. */
function unlisted(
  name: string | null,
  counters: ClientsInput['counters'],
  today: DayUsage,
  now: number,
): ClientDocument {
  const { requestsLastMinute, openStreams } = name === null ? NO_COUNTS : counters.of(name, now);
  return {
    name,
    state: name === null ? 'valid' : 'removed',
    ...{ expiresAt: null, requestsLastMinute, openStreams, today, limits: [], models: null },
  };
}

// They are counted for tokens only.
const NO_COUNTS = { requestsLastMinute: null, openStreams: null };

function usedLimits(
  limits: ClientLimits | null,
  { requestsLastMinute, openStreams, tokensToday }: ClientCounts,
): UsedLimit[] {
  const counted: [string, number | null, number][] = [
    ['requests', limits?.requestsPerMinute ?? null, requestsLastMinute],
    ['streams', limits?.streams ?? null, openStreams],
    ['input-tokens', limits?.inputTokensPerDay ?? null, tokensToday.input],
    ['output-tokens', limits?.outputTokensPerDay ?? null, tokensToday.output],
  ];
  return counted.flatMap(([name, limit, used]) => (limit === null ? [] : { name, limit, used }));
}
