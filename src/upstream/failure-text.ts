import { MAX_HEADER_BYTES } from '../base/header-text.ts';

const BROKE_OFF = 'it closed the connection before it responded';
const NO_ROUTE = 'no network leads to it';
const NO_DESCRIPTOR =
  'no file descriptor is free; raise the limit of this process (ulimit -n, LimitNOFILE=)';

/** What a code of Node.js or undici means. The subject is the server that was asked. */
const TEXTS: Partial<Record<string, string>> = {
  ENOTFOUND: 'its name does not resolve',
  EAI_AGAIN: 'its name cannot be resolved now',
  ECONNREFUSED: 'it refuses connections',
  ENETUNREACH: NO_ROUTE,
  EHOSTUNREACH: NO_ROUTE,
  EADDRNOTAVAIL: 'no local port is free for the connection',
  ECONNRESET: BROKE_OFF,
  EPIPE: BROKE_OFF,
  UND_ERR_SOCKET: BROKE_OFF,
  UND_ERR_CONNECT_TIMEOUT: 'it did not answer in time',
  UND_ERR_HEADERS_TIMEOUT: 'it did not answer in time',
  ETIMEDOUT: 'it did not answer in time',
  UND_ERR_HEADERS_OVERFLOW: `the headers of its response are larger than ${MAX_HEADER_BYTES} bytes`,
  UND_ERR_RES_CONTENT_LENGTH_MISMATCH: 'its response has another length than it says',
  ERR_TLS_CERT_ALTNAME_INVALID: 'its certificate is for other names',
  HTTP_PARSER: 'its response is not valid HTTP',
  EMFILE: NO_DESCRIPTOR,
  ENFILE: NO_DESCRIPTOR,
};

/** A failed exchange in words, with the code for who searches for it. Holds nothing foreign. */
export function failureText(error: unknown): string {
  const code = transportCode(error);
  const text =
    TEXTS[code] ??
    (/^(CERT_|DEPTH_|SELF_|UNABLE_)/.test(code) ? 'its certificate is not trusted' : null);
  const detail = code === 'HTTP_PARSER' ? parserReason(error) : code;
  return text === null ? detail : `${text} (${detail})`;
}

/** Undici gives what its parser objects to in parentheses; the parser's texts are constants. */
function parserReason(error: unknown): string {
  const message = error instanceof Error ? error.message : '';
  return /\(([\w ,.'`/:-]{1,100})\)$/.exec(message)?.[1] ?? 'HTTPParserError';
}

/** The code that says what happened: Happy Eyeballs and undici wrap the error that carries it. */
export function transportCode(error: unknown): string {
  if (error instanceof AggregateError && error.errors.length > 0) {
    return transportCode(error.errors[0]);
  }
  const { code, cause, name } = fieldsOf(error);
  if (typeof code === 'string') return code;
  // Undici means to give these a code, and does not (measured, 7.30).
  if (name === 'HTTPParserError') return 'HTTP_PARSER';
  return cause === undefined ? 'unknown error' : transportCode(cause);
}

function fieldsOf(error: unknown): {
  code?: unknown;
  name?: unknown;
  cause?: unknown;
} {
  return typeof error === 'object' && error !== null ? error : {};
}
