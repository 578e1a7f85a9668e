import { addTokens, type TokenUsage } from '../base/token-usage.ts';
import { fieldOf } from './request-body.ts';

/** Well above the tiny limit with which a client can be made to compact after one turn. */
const LEAST_INPUT = 1200;

/** What a response took, as the backend writes it. */
interface WireUsage {
  input_tokens: number;
  input_tokens_details: { cached_tokens: number; cache_write_tokens: number };
  output_tokens: number;
  output_tokens_details: { reasoning_tokens: number };
  total_tokens: number;
}

/** Other numbers for each response, so that no two sums are equal by chance. */
export function usageOf(responseId: string): WireUsage {
  const number = Number(/\d+/.exec(responseId)?.[0] ?? 0);
  const [input, output] = [LEAST_INPUT + (number % 977), 12 + (number % 101)];
  return {
    input_tokens: input,
    input_tokens_details: { cached_tokens: (number * 7) % LEAST_INPUT, cache_write_tokens: 0 },
    output_tokens: output,
    output_tokens_details: { reasoning_tokens: number % 12 },
    total_tokens: input + output,
  };
}

/** Adds what a response says to what its connection has said before. */
export function withUsage(before: TokenUsage | null, response: unknown): TokenUsage | null {
  const usage = fieldOf(response, 'usage') as WireUsage | null | undefined;
  if (!usage) return before;
  return addTokens(before, {
    input: usage.input_tokens,
    cached: usage.input_tokens_details.cached_tokens,
    output: usage.output_tokens,
    reasoning: usage.output_tokens_details.reasoning_tokens,
  });
}
