import type { JsonObject } from '../base/json.ts';
import { fieldOf, modelOf } from './request-body.ts';

/** What the backend answers where the request says nothing. */
const DEFAULTS: JsonObject = {
  background: false,
  instructions: null,
  max_output_tokens: null,
  max_tool_calls: null,
  metadata: {},
  parallel_tool_calls: true,
  previous_response_id: null,
  prompt_cache_key: null,
  reasoning: { effort: null, summary: null },
  safety_identifier: null,
  service_tier: 'default',
  temperature: 1,
  text: { format: { type: 'text' } },
  tool_choice: 'auto',
  tools: [],
  top_logprobs: 0,
  top_p: 1,
  truncation: 'disabled',
};

/**
 * A response that has just begun: the fields that the type `Response` of the `openai` package calls
 * for, with what the request says.
 * @param createdAt seconds since 1970
 */
export function responseObject(request: unknown, id: string, createdAt: number): JsonObject {
  const settings = Object.entries(DEFAULTS).map(([name, value]) => [
    name,
    fieldOf(request, name) ?? value,
  ]);
  return {
    id,
    object: 'response',
    created_at: createdAt,
    status: 'in_progress',
    model: modelOf(request),
    output: [],
    error: null,
    incomplete_details: null,
    access_programs: null,
    ...Object.fromEntries(settings),
  };
}
