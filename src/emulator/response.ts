import type { TokenUsage } from '../base/token-usage.ts';

/** A response before it is sent; its pieces are written one by one. */
export interface EmulatedResponse {
  status: number;
  headers: Record<string, string>;
  pieces: string[];
  /** What its last piece tells of the tokens that it took. */
  usage?: TokenUsage | null;
}

/** One event of the Responses API: an SSE event, or a text frame of the WebSocket. */
export interface ServerEvent {
  type: string;
  [field: string]: unknown;
}

export function json(
  status: number,
  body: unknown,
  headers: Record<string, string> = {},
): EmulatedResponse {
  return {
    status,
    headers: { 'content-type': 'application/json', ...headers },
    pieces: [JSON.stringify(body)],
  };
}

export function html(page: string): EmulatedResponse {
  return { status: 200, headers: { 'content-type': 'text/html; charset=utf-8' }, pieces: [page] };
}

/** A server-sent event stream, one piece an event. */
export function eventStream(
  events: ServerEvent[],
  headers: Record<string, string>,
): EmulatedResponse {
  return {
    status: 200,
    headers: { 'content-type': 'text/event-stream', 'cache-control': 'no-cache', ...headers },
    pieces: events.map((event) => `event: ${event.type}\ndata: ${JSON.stringify(event)}\n\n`),
  };
}

/** 400 that says which field is wrong. */
export function badRequest(message: string): EmulatedResponse {
  return json(400, { error: { message, type: 'invalid_request_error', code: 'invalid_request' } });
}

export function notFound(): EmulatedResponse {
  return json(404, { detail: 'Not Found' });
}

/** The first half of the pieces, or of the text when there is but one. */
export function firstHalf(pieces: readonly string[]): string[] {
  const [only, ...rest] = pieces;
  if (only === undefined) return [];
  if (rest.length > 0) return pieces.slice(0, Math.floor(pieces.length / 2));
  return [only.slice(0, Math.floor(only.length / 2))];
}
