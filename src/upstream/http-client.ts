import type { Dispatcher } from 'undici';
import { afterDeadline } from '../base/deadline.ts';

/** One small JSON exchange of our own (registration, JWKS): bounded in time and in the size of the response. */
interface JsonRequest {
  method: 'GET' | 'POST';
  url: string;
  headers?: Record<string, string>;
  body?: unknown;
  /** For the whole exchange; a second more for what came while this process stood still. */
  timeoutMs: number;
  /** A larger response is an error. */
  maxBytes: number;
}

export interface TextResponse {
  status: number;
  headers: Record<string, string | string[] | undefined>;
  text: string;
}

/** Sends one request. Follows no redirect. Rejects when there is no complete response. */
export type HttpClient = (request: JsonRequest) => Promise<TextResponse>;

export class ResponseTooLargeError extends Error {
  override readonly name = 'ResponseTooLargeError';
  /** Status of the response that was cut off. */
  readonly status: number;

  constructor(maxBytes: number, status: number) {
    super(`the answer is larger than ${maxBytes} bytes`);
    this.status = status;
  }
}

/** @param observeDate is told the `Date` header of every response that does not come from a cache */
export function createHttpClient(
  dispatcher: Dispatcher,
  userAgent: string,
  observeDate: (date: string | null) => void = () => undefined,
): HttpClient {
  return async (request) => {
    const timeout = new AbortController();
    const cancel = afterDeadline(request.timeoutMs, () =>
      timeout.abort(new DOMException('no complete response in time', 'TimeoutError')),
    );
    try {
      const response = await send(dispatcher, userAgent, request, timeout.signal);
      const { date, age } = response.headers;
      // A cached response carries the date at which it was stored.
      observeDate(typeof date === 'string' && age === undefined ? date : null);
      const text = await readText(response, request.maxBytes);
      return { status: response.statusCode, headers: response.headers, text };
    } finally {
      cancel();
    }
  };
}

function send(
  dispatcher: Dispatcher,
  userAgent: string,
  { method, url, headers, body }: JsonRequest,
  signal: AbortSignal,
): Promise<Dispatcher.ResponseData> {
  const { origin, pathname, search } = new URL(url);
  return dispatcher.request({
    origin,
    path: pathname + search,
    method,
    headers: {
      accept: 'application/json',
      'user-agent': userAgent,
      ...(body === undefined ? {} : { 'content-type': 'application/json' }),
      ...headers,
    },
    body: body === undefined ? null : JSON.stringify(body),
    signal,
    // The deadline bounds the exchange; these would end it without the grace.
    headersTimeout: 0,
    bodyTimeout: 0,
  });
}

async function readText(
  { body, statusCode }: Dispatcher.ResponseData,
  maxBytes: number,
): Promise<string> {
  const chunks: Buffer[] = [];
  let size = 0;
  for await (const chunk of body) {
    size += chunk.length;
    if (size > maxBytes) {
      body.destroy();
      throw new ResponseTooLargeError(maxBytes, statusCode);
    }
    chunks.push(chunk);
  }
  return Buffer.concat(chunks).toString('utf8');
}
