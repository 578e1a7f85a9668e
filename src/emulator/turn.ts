import type { IdSource } from './accounts.ts';
import type { ServerEvent } from './response.ts';

const DEFAULT_MODEL = 'gpt-emulated';

// Well above the tiny limit with which a client can be made to compact after one turn.
const USAGE = {
  input_tokens: 1200,
  input_tokens_details: { cached_tokens: 0 },
  output_tokens: 12,
  output_tokens_details: { reasoning_tokens: 0 },
  total_tokens: 1212,
};

const TEXT = 'Hello from the emulated backend.';

/**
 * The events that answer one request of the Responses API, a POST body or a `response.create`
 * frame: nothing but a frame for a warm-up, one compaction item for a compaction (version 2), one
 * message for anything else, also for a body that could not be read. Seen to be enough for Codex.
 */
export function turnEvents(request: unknown, nextId: IdSource): ServerEvent[] {
  const response = { id: nextId('resp_'), object: 'response', model: modelOf(request) };
  const item = outputItem(request, nextId);
  return [
    { type: 'response.created', response: { ...response, status: 'in_progress' } },
    ...(item === null ? [] : itemEvents(item)),
    {
      type: 'response.completed',
      response: {
        ...response,
        status: 'completed',
        output: item === null ? [] : [item],
        usage: isWarmUp(request) ? null : USAGE,
      },
    },
  ];
}

/** The response to `POST …/responses/compact` (compaction version 1). */
export function compactOutput(nextId: IdSource): { output: Item[] } {
  return { output: [compactionItem(nextId)] };
}

/** The model that the client asked for, so that it sees no rerouting. */
export function modelOf(request: unknown): string {
  const model = field(request, 'model');
  return typeof model === 'string' ? model : DEFAULT_MODEL;
}

function isCompaction(request: unknown): boolean {
  const input = field(request, 'input');
  return Array.isArray(input) && field(input.at(-1), 'type') === 'compaction_trigger';
}

type Item = Record<string, unknown>;

/** A frame that only prepares the socket: the client wants no output of it. */
function isWarmUp(request: unknown): boolean {
  return field(request, 'generate') === false;
}

function outputItem(request: unknown, nextId: IdSource): Item | null {
  if (isWarmUp(request)) return null;
  if (isCompaction(request)) return compactionItem(nextId);
  return {
    type: 'message',
    role: 'assistant',
    id: nextId('msg_'),
    status: 'completed',
    content: [{ type: 'output_text', text: TEXT, annotations: [] }],
  };
}

function compactionItem(nextId: IdSource): Item {
  const content = Buffer.from('summary of the emulated conversation').toString('base64');
  return { type: 'compaction', id: nextId('cmp_'), encrypted_content: content };
}

// A compaction must be answered by exactly one item, so it gets no event but `done`.
function itemEvents(item: Item): ServerEvent[] {
  const done = { type: 'response.output_item.done', output_index: 0, item };
  if (item.type !== 'message') return [done];
  const added = { ...item, status: 'in_progress', content: [] };
  const delta = { item_id: item.id, output_index: 0, content_index: 0, delta: TEXT };
  return [
    { type: 'response.output_item.added', output_index: 0, item: added },
    { type: 'response.output_text.delta', ...delta },
    done,
  ];
}

function field(value: unknown, name: string): unknown {
  if (typeof value !== 'object' || value === null) return undefined;
  return Object.getOwnPropertyDescriptor(value, name)?.value;
}
