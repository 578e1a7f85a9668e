import type { Dispatcher } from 'undici';

/** One small JSON exchange of our own (registration, JWKS): bounded in time and in the size of the response. */
interface JsonRequest {
  method: 'GET' | 'POST';
  url: string;
  headers?: Record<string, string>;
  body?: unknown;
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
    const signal = AbortSignal.timeout(request.timeoutMs);
    const { origin, pathname, search } = new URL(request.url);
    const response = await dispatcher.request({
      origin,
      path: pathname + search,
      method: request.method,
      headers: {
        accept: 'application/json',
        'user-agent': userAgent,
        ...(request.body === undefined ? {} : { 'content-type': 'application/json' }),
        ...request.headers,
      },
      body: request.body === undefined ? null : JSON.stringify(request.body),
      signal,
    });
    const { date, age } = response.headers;
    // A cached response carries the date at which it was stored.
    observeDate(typeof date === 'string' && age === undefined ? date : null);
    const chunks: Buffer[] = [];
    let size = 0;
    for await (const chunk of response.body) {
      size += chunk.length;
      if (size > request.maxBytes) {
        response.body.destroy();
        throw new ResponseTooLargeError(request.maxBytes, response.statusCode);
      }
      chunks.push(chunk);
    }
    return {
      status: response.statusCode,
      headers: response.headers,
      text: Buffer.concat(chunks).toString('utf8'),
    };
  };
}
