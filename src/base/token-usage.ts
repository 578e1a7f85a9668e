import { isObject } from './json.ts';

/** Tokens of a turn, as the backend counts them. */
export interface TokenUsage {
  /** Cached ones included. */
  input: number;
  cached: number;
  /** Those of reasoning included. */
  output: number;
  reasoning: number;
}

/** What became of one turn: a request of the Responses API, on its own or in a WebSocket. */
export interface FinishedTurn {
  /** As the backend names it; null where it does not. */
  model: string | null;
  /** null: the backend counted nothing, as for a request that only prepares the connection. */
  usage: TokenUsage | null;
  /**
   * Why nobody knows what the turn took: `unreadable` where the response could not be read, or says
   * something that is no count; `unfinished` where it broke off before its end.
   */
  unknown: UnknownUsage | null;
}

export const UNKNOWN_USAGE = ['unreadable', 'unfinished'] as const;
export type UnknownUsage = (typeof UNKNOWN_USAGE)[number];

/** No turn takes more; whatever says so is no count. */
const MOST_TOKENS = 1_000_000_000;

export const TOKEN_KINDS = ['input', 'cached', 'output', 'reasoning'] as const;

/** @param a null counts as nothing */
export function addTokens(a: TokenUsage | null, b: TokenUsage): TokenUsage {
  if (!a) return b;
  return {
    input: a.input + b.input,
    cached: a.cached + b.cached,
    output: a.output + b.output,
    reasoning: a.reasoning + b.reasoning,
  };
}

/**
 * Reads what a response took: its `usage`, and beside it what a tool of the backend took that makes
 * images with a model of its own (`tool_usage.image_gen`, which has the same fields).
 * What can be read counts, whatever else cannot.
 * @param usage throws when the value cannot be read, as does `tools`
 */
export function turnUsage(
  usage: () => unknown,
  tools: () => unknown,
): Pick<FinishedTurn, 'usage' | 'unknown'> {
  const own = readable(() => tokenUsage(usage()));
  const images = readable(() => {
    const took = tools();
    return isObject(took) ? tokenUsage(took.image_gen) : null;
  });
  const unknown = own === 'unreadable' || images === 'unreadable' ? 'unreadable' : null;
  // Zeros of a tool do not say what the turn took.
  if (own === null && images !== 'unreadable' && !images?.output) return { usage: null, unknown };
  const known = [own, images].filter((part) => part !== null && part !== 'unreadable');
  return { usage: known.reduce<TokenUsage | null>(addTokens, null), unknown };
}

function readable(read: () => TokenUsage | null): TokenUsage | null | 'unreadable' {
  try {
    return read();
  } catch {
    return 'unreadable';
  }
}

/**
 * Reads the `usage` of a response (OpenAI's API reference, "The response object").
 * @returns null when there is none
 * @throws RangeError when it holds anything but counts
 */
export function tokenUsage(value: unknown): TokenUsage | null {
  if (value === null || value === undefined) return null;
  if (!isObject(value)) throw new RangeError('the usage is no object');
  return {
    input: count(value.input_tokens),
    cached: detail(value.input_tokens_details, 'cached_tokens'),
    output: count(value.output_tokens),
    reasoning: detail(value.output_tokens_details, 'reasoning_tokens'),
  };
}

function detail(details: unknown, name: string): number {
  if (details === null || details === undefined) return 0;
  if (!isObject(details)) throw new RangeError('the details of a usage are no object');
  const value = details[name];
  return value === null || value === undefined ? 0 : count(value);
}

function count(value: unknown): number {
  if (typeof value === 'number' && Number.isInteger(value) && value >= 0 && value <= MOST_TOKENS) {
    return value;
  }
  throw new RangeError('a count of tokens is no count');
}
