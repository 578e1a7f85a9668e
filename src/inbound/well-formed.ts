import type { IncomingMessage } from 'node:http';
import { SidecarError } from '../base/errors.ts';

/** Codex sends about twenty. Node silently drops lines beyond its own limit of 1000. */
const MAX_HEADER_LINES = 256;

/**
 * Refuses what Node's parser lets through although another server may read it differently. Called
 * before anything else looks at the request.
 * @throws SidecarError AUTH_REQUEST_INVALID or AUTH_PATH_INVALID
 */
export function checkWellFormed(request: IncomingMessage): void {
  const { url = '', rawHeaders, headers, httpVersion } = request;
  if (httpVersion !== '1.1' && httpVersion !== '1.0') {
    throw invalid(`this is HTTP/1.1, not HTTP/${httpVersion}`);
  }
  if (rawHeaders.length > 2 * MAX_HEADER_LINES) {
    throw invalid(`the request has more than ${MAX_HEADER_LINES} header lines`);
  }
  const { hosts, lengths, codings } = decisiveLines(rawHeaders);
  // Node would take the first (RFC 9112, section 3.2, wants all such requests refused).
  if (hosts > 1) throw invalid('the request has more than one Host header');
  checkFraming(lengths, codings, headers);
  // RFC 9112, section 6.1: an HTTP/1.0 proxy on the way would not understand this framing.
  if (httpVersion === '1.0' && headers['transfer-encoding'] !== undefined) {
    throw invalid('HTTP/1.0 has no transfer-encoding');
  }
  if (headers.expect !== undefined && headers.expect.toLowerCase() !== '100-continue') {
    throw invalid('the only supported expectation is 100-continue');
  }
  // The host of an absolute target would override the Host header, which is the one we check.
  if (!url.startsWith('/')) {
    throw new SidecarError(
      'AUTH_PATH_INVALID',
      'the request target must be a path; this is not a forward proxy',
    );
  }
}

export function isWellFormed(request: IncomingMessage): boolean {
  try {
    checkWellFormed(request);
    return true;
  } catch {
    return false;
  }
}

/**
 * Where a body ends must not depend on the parser, which differs between versions of Node.js (RFC
 * 9112, section 6.3). A tab behind a value is gone before we see it.
 */
function checkFraming(lengths: number, codings: number, headers: IncomingMessage['headers']): void {
  if (lengths + codings === 0) return;
  if (lengths + codings > 1) throw invalid('the request gives the length of its body twice');
  const { 'content-length': length, 'transfer-encoding': coding } = headers;
  if (length !== undefined && !/^\d{1,15}$/.test(length)) {
    throw invalid('content-length must be a number');
  }
  if (coding !== undefined && coding.toLowerCase() !== 'chunked') {
    throw invalid('the only supported transfer-encoding is chunked');
  }
}

/** How many lines there are of each header that decides about the request. */
function decisiveLines(rawHeaders: readonly string[]) {
  const lines = { hosts: 0, lengths: 0, codings: 0 };
  for (let i = 0; i < rawHeaders.length; i += 2) {
    const name = rawHeaders[i] as string;
    // Most names are ruled out by their length.
    if (name.length === 4) {
      if (name.toLowerCase() === 'host') lines.hosts++;
    } else if (name.length === 14) {
      if (name.toLowerCase() === 'content-length') lines.lengths++;
    } else if (name.length === 17 && name.toLowerCase() === 'transfer-encoding') lines.codings++;
  }
  return lines;
}

function invalid(problem: string): SidecarError {
  return new SidecarError('AUTH_REQUEST_INVALID', problem);
}
