import type { Dispatcher } from 'undici';
import { systemClock } from '../base/clock.ts';
import { afterDeadline } from '../base/deadline.ts';
import { parseRetryAfter } from '../base/pause.ts';
import { encodingOf } from '../base/text-encoding.ts';
import { DecodedTooLargeError, decodeBody } from './content-coding.ts';
import { failureText, transportCode } from './failure-text.ts';
import { ProxyError } from './proxy-error.ts';

/** One small JSON exchange of our own (a refresh, a registration, the JWKS, a status). */
interface JsonRequest {
  method: 'GET' | 'POST';
  url: string;
  headers?: Record<string, string>;
  /** Sent as a form if it is URLSearchParams, otherwise as JSON. */
  body?: unknown;
  /** For the whole exchange; a second more for what came while this process stood still. */
  timeoutMs: number;
  /** A larger response is an error, whether it is large as sent or only when decoded. */
  maxBytes: number;
}

export interface TextResponse {
  status: number;
  /** What its `retry-after` asks for in milliseconds, an hour at most; null: nothing. */
  retryAfterMs: number | null;
  headers: Record<string, string | string[] | undefined>;
  text: string;
}

/** Sends one request. Follows no redirect. Rejects with a CallError when there is no complete response. */
export type HttpClient = (request: JsonRequest) => Promise<TextResponse>;

interface CallErrorDetails {
  /** Of the transport, `ETIMEDOUT`, or `RESPONSE_TOO_LARGE`. */
  code: string;
  /** The head of the request was handed to a connection, so it may have been carried out. */
  wasSent: boolean;
  /** What had come of the response; null before its head. */
  partial: TextResponse | null;
  cause?: unknown;
}

const TOO_LARGE = 'RESPONSE_TOO_LARGE';
const TIMED_OUT = 'ETIMEDOUT';
const FORM = 'application/x-www-form-urlencoded';

/** A call that gave no complete response. */
export class CallError extends Error {
  override readonly name = 'CallError';
  readonly code: string;
  readonly wasSent: boolean;
  readonly partial: TextResponse | null;

  constructor(message: string, { cause, ...details }: CallErrorDetails) {
    super(message, cause === undefined ? undefined : { cause });
    this.code = details.code;
    this.wasSent = details.wasSent;
    this.partial = details.partial;
  }

  /** The response grew over its limit, as it was sent or when it was decoded. */
  get isTooLarge(): boolean {
    return this.code === TOO_LARGE;
  }

  /** The time of the whole exchange was over. */
  get isTimeout(): boolean {
    return this.code === TIMED_OUT;
  }
}

/** Whether a failed call never left this machine, so that it may be sent again whatever it does. */
export function wasNeverSent(error: unknown): boolean {
  return error instanceof CallError && !error.wasSent;
}

/** Why a call gave no usable response, in words. Nobody is named but a proxy. */
export function callFailureText(error: unknown): string {
  if (error instanceof CallError && error.isTooLarge) return error.message;
  const proxy = error instanceof CallError ? error.cause : error;
  return proxy instanceof ProxyError ? proxy.message : failureText(error);
}

/** How far a call got before it failed. */
interface Progress {
  wasSent: boolean;
  head: Omit<TextResponse, 'text'> | null;
  chunks: Buffer[];
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
    const progress: Progress = { wasSent: false, head: null, chunks: [] };
    try {
      const response = await send(dispatcher, userAgent, request, timeout.signal, progress);
      const { headers, statusCode: status, body } = response;
      const { date, age } = headers;
      // A cached response carries the date at which it was stored.
      observeDate(typeof date === 'string' && age === undefined ? date : null);
      const retryAfterMs = parseRetryAfter(headers, systemClock());
      progress.head = { status, headers, retryAfterMs };
      await readBody(body, progress.chunks, request.maxBytes);
      return { ...progress.head, text: await textOf(progress, request.maxBytes) };
    } catch (cause) {
      throw await callError(cause, progress, request.maxBytes);
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
  progress: Progress,
): Promise<Dispatcher.ResponseData> {
  const { origin, pathname, search } = new URL(url);
  const isForm = body instanceof URLSearchParams;
  return watchSent(dispatcher, progress).request({
    origin,
    path: pathname + search,
    method,
    headers: {
      accept: 'application/json',
      // Without it a server may choose any coding (RFC 9110, section 12.5.3).
      'accept-encoding': 'identity',
      'user-agent': userAgent,
      ...(body === undefined ? {} : { 'content-type': isForm ? FORM : 'application/json' }),
      ...headers,
    },
    body: body === undefined ? null : isForm ? String(body) : JSON.stringify(body),
    signal,
    // The deadline bounds the exchange; these would end it without the grace.
    headersTimeout: 0,
    bodyTimeout: 0,
  });
}

/**
 * Notes when undici hands a request to a connection. Error codes cannot tell: a code of the handshake
 * may also come in the middle of an exchange.
 */
function watchSent(dispatcher: Dispatcher, progress: Progress): Dispatcher {
  return dispatcher.compose((dispatch) => (options, handler) => {
    const watched: Dispatcher.DispatchHandler = {
      onRequestStart: (...args) => {
        progress.wasSent = true;
        handler.onRequestStart?.(...args);
      },
      onResponseStart: (...args) => handler.onResponseStart?.(...args),
      onResponseData: (...args) => handler.onResponseData?.(...args),
      onResponseEnd: (...args) => handler.onResponseEnd?.(...args),
      onResponseError: (...args) => handler.onResponseError?.(...args),
    };
    return dispatch(options, watched);
  });
}

async function readBody(
  body: Dispatcher.ResponseData['body'],
  chunks: Buffer[],
  maxBytes: number,
): Promise<void> {
  let size = 0;
  for await (const chunk of body) {
    size += chunk.length;
    chunks.push(chunk);
    if (size > maxBytes) {
      body.destroy();
      throw new DecodedTooLargeError();
    }
  }
}

/** A body that is not what its `content-encoding` says is taken as it is. */
async function textOf({ head, chunks }: Progress, maxBytes: number): Promise<string> {
  const bytes = Buffer.concat(chunks);
  const coding = [head?.headers['content-encoding'] ?? []].flat().join(',');
  const decoded = (await decodeBody(bytes, coding, maxBytes)) ?? bytes;
  return new TextDecoder(encodingOf(decoded)).decode(decoded);
}

async function callError(cause: unknown, progress: Progress, maxBytes: number): Promise<CallError> {
  const { wasSent, head } = progress;
  const text = head && (await textOf(progress, maxBytes).catch(() => ''));
  const partial = head && { ...head, text: text ?? '' };
  if (cause instanceof DecodedTooLargeError) {
    const message = `the response is larger than ${maxBytes} bytes`;
    return new CallError(message, { code: TOO_LARGE, wasSent, partial });
  }
  const isTimeout = cause instanceof DOMException && cause.name === 'TimeoutError';
  const code = isTimeout ? TIMED_OUT : transportCode(cause);
  const message = (cause instanceof Error && cause.message) || code;
  return new CallError(message, { code, wasSent, partial, cause });
}
