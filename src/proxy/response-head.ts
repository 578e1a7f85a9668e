import type { Dispatcher } from 'undici';
import { type HeaderLookup, headerLookup, type ParsedHeaders, type RawHeaders } from './headers.ts';

/** Status and headers of a response, as undici gives them. */
export interface ResponseHead {
  status: number;
  statusMessage: string | undefined;
  raw: RawHeaders;
  parsed: ParsedHeaders;
  header: HeaderLookup;
}

export function responseHead(
  controller: Dispatcher.DispatchController,
  status: number,
  statusMessage: string | undefined,
  parsed: ParsedHeaders,
): ResponseHead {
  const raw = rawHeaders(controller);
  return { status, statusMessage, raw, parsed, header: headerLookup(parsed) };
}

/** A list over HTTP/1, which the types leave open. */
export function rawHeaders({ rawHeaders: raw }: Dispatcher.DispatchController): RawHeaders {
  return Array.isArray(raw) ? raw : [];
}
