/** A small event of a stream. @param stamp see `nowMicros` */
export function delta(stamp: number): string {
  return `event: response.output_text.delta\ndata: {"type":"response.output_text.delta","item_id":"msg_1","delta":" word","t":${stamp}}\n\n`;
}

/** The event that ends a turn, with what the backend repeats of the request: 30 KB. */
export function endOfTurn(): string {
  const parameters = { type: 'object', properties: { path: { type: 'string' } }, required: [] };
  const description = 'what the tool is for, and what it must not be used for '.repeat(20);
  const response = {
    ...{ id: 'resp_1', object: 'response', status: 'completed', model: 'gpt-bench', error: null },
    instructions: 'a line of instructions\n'.repeat(500),
    output: [{ type: 'message', content: [{ type: 'output_text', text: ' word'.repeat(200) }] }],
    tools: Array.from({ length: 12 }, (_, i) => {
      return { type: 'function', name: `tool_${i}`, description, parameters, strict: false };
    }),
    usage: {
      ...{ input_tokens: 9_200, input_tokens_details: { cached_tokens: 8_960 } },
      ...{ output_tokens: 410, output_tokens_details: { reasoning_tokens: 256 } },
      total_tokens: 9_610,
    },
    ...{ user: null, metadata: {} },
  };
  const data = JSON.stringify({ type: 'response.completed', sequence_number: 1, response });
  return `event: response.completed\ndata: ${data}\n\n`;
}
