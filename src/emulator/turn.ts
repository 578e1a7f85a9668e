import type { Clock } from '../base/clock.ts';
import type { JsonObject } from '../base/json.ts';
import type { IdSource } from './accounts.ts';
import { isCompaction, isWarmUp } from './request-body.ts';
import type { ServerEvent } from './response.ts';
import { responseObject } from './response-object.ts';
import { usageOf } from './usage.ts';

/** Where a turn takes its ids and its time of day from. */
interface TurnSource {
  nextId: IdSource;
  now: Clock;
}

type Item = JsonObject & { type: 'message' | 'compaction'; id: string };

const TEXT = 'Hello from the emulated backend.';
const PART = { type: 'output_text', annotations: [], logprobs: [] };

/**
 * The events that answer one request of the Responses API, a POST body or a `response.create` frame:
 * no item for a warm-up, one compaction item for a compaction (version 2), one message for anything
 * else, also for a body that could not be read. The types of the `openai` package hold for them.
 */
export function turnEvents(request: unknown, source: TurnSource): ServerEvent[] {
  const { begun, completed, items } = takeTurn(request, source);
  const events: ServerEvent[] = [
    { type: 'response.created', response: begun },
    { type: 'response.in_progress', response: begun },
    ...items.flatMap(itemEvents),
    { type: 'response.completed', response: completed },
  ];
  return events.map((event, index) => ({ ...event, sequence_number: index }));
}

/** The response to a request that asks for no stream: the last event's. */
export function wholeResponse(request: unknown, source: TurnSource): JsonObject {
  return takeTurn(request, source).completed;
}

/** The response to `POST …/responses/compact` (compaction version 1). */
export function compactedResponse({ nextId, now }: TurnSource): JsonObject {
  const id = nextId('resp_');
  return {
    id,
    object: 'response.compaction',
    created_at: seconds(now),
    output: [compactionItem(nextId)],
    usage: usageOf(id),
  };
}

function takeTurn(request: unknown, { nextId, now }: TurnSource) {
  const id = nextId('resp_');
  const begun = responseObject(request, id, seconds(now));
  const items = outputItems(request, nextId);
  const completed = {
    ...begun,
    status: 'completed',
    completed_at: seconds(now),
    output: items,
    ...(isWarmUp(request) ? {} : { usage: usageOf(id) }),
  };
  return { begun, completed, items };
}

function outputItems(request: unknown, nextId: IdSource): Item[] {
  if (isWarmUp(request)) return [];
  if (isCompaction(request)) return [compactionItem(nextId)];
  const content = [{ ...PART, text: TEXT }];
  const id = nextId('msg_');
  return [{ type: 'message', id, role: 'assistant', status: 'completed', content }];
}

function compactionItem(nextId: IdSource): Item {
  const content = Buffer.from('summary of the emulated conversation').toString('base64');
  return { type: 'compaction', id: nextId('cmp_'), encrypted_content: content };
}

function itemEvents(item: Item, index: number): ServerEvent[] {
  const done = { type: 'response.output_item.done', output_index: index, item };
  if (item.type !== 'message') return [done];
  const added = { ...item, status: 'in_progress', content: [] };
  const place = { item_id: item.id, output_index: index, content_index: 0 };
  const text = { ...place, logprobs: [] };
  return [
    { type: 'response.output_item.added', output_index: index, item: added },
    { type: 'response.content_part.added', ...place, part: { ...PART, text: '' } },
    { type: 'response.output_text.delta', ...text, delta: TEXT },
    { type: 'response.output_text.done', ...text, text: TEXT },
    { type: 'response.content_part.done', ...place, part: { ...PART, text: TEXT } },
    done,
  ];
}

function seconds(now: Clock): number {
  return Math.floor(now() / 1000);
}
