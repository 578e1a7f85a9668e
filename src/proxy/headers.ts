import { INSTANCE_ASSERTION_HEADER } from '../agent-identity/assertion.ts';
import { isProxyHeader, PROXY_HEADERS } from '../base/proxy-headers.ts';
import type { AuthHeaders } from '../credentials/provider.ts';
import { decodableOnly } from '../upstream/content-coding.ts';
import { isKeyHeader, subprotocolsWithoutKeys } from './client-keys.ts';

// Connection-level headers (RFC 9110, section 7.6.1); they end at each hop.
const HOP_BY_HOP = new Set([
  'connection',
  'keep-alive',
  'proxy-connection',
  'te',
  'trailer',
  'transfer-encoding',
  'upgrade',
]);

// Whatever could identify or authorise the client, or point elsewhere.
export const NEVER_UPSTREAM: ReadonlySet<string> = new Set([
  ...HOP_BY_HOP,
  'authorization',
  INSTANCE_ASSERTION_HEADER,
  'chatgpt-account-id',
  'x-openai-fedramp',
  'x-openai-actor-authorization',
  'x-openai-account-routing-override',
  'openai-organization',
  'openai-project',
  'cookie',
  'proxy-authorization',
  'x-sidecar-token',
  ...PROXY_HEADERS,
  'host',
  // Answered by this server already.
  'expect',
  // Some servers let these replace the method or the path, which the route was chosen by.
  'x-http-method',
  'x-http-method-override',
  'x-method-override',
  'x-original-url',
  'x-rewrite-url',
]);

const SUBPROTOCOL = 'sec-websocket-protocol';
const ACCEPT_ENCODING = 'accept-encoding';
const EXTENSIONS = 'sec-websocket-extensions';
/** The only extension of WebSockets that anybody uses (RFC 7692), and that we can read through. */
const DEFLATE = 'permessage-deflate';

/** Length of the name, which rules most others out before any of them is put in lower case. */
const CONNECTION_LENGTH = 'connection'.length;

// Whatever the upstream allows web pages, no page may read or time its response to the sidecar.
const NEVER_DOWNSTREAM = new Set([...HOP_BY_HOP, 'set-cookie', 'timing-allow-origin']);
const CORS_PREFIX = 'access-control-';
const CONTENT_PREFIX = 'content-';

/** The part of a credential that goes into the headers. */
export type InjectedHeaders = Pick<
  AuthHeaders,
  'authorization' | 'assertion' | 'accountId' | 'fedramp'
>;

/**
 * Scrubs the client's headers, then injects the credential. Names, order, repetition and values of
 * the rest stay as they came; of subprotocols those that carry a key are left out. With a credential,
 * only codings are asked for that we can decode: a rejection of it has to be read.
 * @param raw name, value, name, value, …, as Node's `rawHeaders`
 * @param credential null injects nothing
 * @param cookie the sidecar's own; the client's never passes
 * @param mustRead leaves out the extensions of WebSockets behind which messages cannot be read, and asks
 *   for a body without codings: a client can have it packed so tightly that nobody decodes it in bounds
 * @returns the same flat shape
 */
export function upstreamHeaders(
  raw: readonly string[],
  credential: InjectedHeaders | null,
  cookie: string | null = null,
  mustRead = false,
): string[] {
  const named = connectionOptions(raw);
  const headers: string[] = [];
  for (let i = 0; i + 1 < raw.length; i += 2) {
    const name = raw[i] as string;
    const treatment = treatmentOf(name);
    if (treatment === 'drop' || named?.has(name.toLowerCase())) continue;
    const value = raw[i + 1] as string;
    if (treatment === 'pass') headers.push(name, value);
    else if (treatment === 'encoding') {
      if (!mustRead) headers.push(name, credential ? decodableOnly(value) : value);
    } else {
      const kept =
        treatment === 'subprotocol' ? subprotocolsWithoutKeys(value) : extensions(value, mustRead);
      if (kept !== null) headers.push(name, kept);
    }
  }
  // Without this header every coding is welcome (RFC 9110, section 12.5.3).
  if (mustRead) headers.push(ACCEPT_ENCODING, 'identity');
  if (credential) {
    headers.push('authorization', credential.authorization.reveal());
    if (credential.assertion)
      headers.push(INSTANCE_ASSERTION_HEADER, credential.assertion.reveal());
    if (credential.accountId !== null) headers.push('chatgpt-account-id', credential.accountId);
    if (credential.fedramp) headers.push('x-openai-fedramp', 'true');
  }
  if (cookie !== null) headers.push('cookie', cookie);
  return headers;
}

/** The extensions that are offered upstream; null for none. */
function extensions(offers: string, mustRead: boolean): string | null {
  if (!mustRead) return offers;
  // A value in quotes may hold a comma, but those of this extension are numbers; the backend is
  // offered at most a part that it does not know.
  const kept = offers.split(',').filter((offer) => nameOf(offer) === DEFLATE);
  return kept.length > 0 ? kept.join(',').trim() : null;
}

function nameOf(offer: string): string {
  const end = offer.indexOf(';');
  return (end === -1 ? offer : offer.slice(0, end)).trim().toLowerCase();
}

/** Headers of a response as they came, in a flat list: octets of latin1, or text. */
export type RawHeaders = readonly (Buffer | string)[];

/**
 * Headers of an upstream response for the client: all but the connection-level ones, `set-cookie`
 * and what would let web pages in.
 */
export function downstreamHeaders(raw: RawHeaders, status: number): string[] {
  const named = connectionOptions(raw);
  const headers: string[] = [];
  for (let i = 0; i + 1 < raw.length; i += 2) {
    const name = textOf(raw[i] as Buffer | string);
    // A 426 is worth little without the protocol that it asks for (RFC 9110, section 15.5.22).
    const wanted = status === 426 && name.toLowerCase() === 'upgrade';
    if (!wanted && (staysHere(name) || named?.has(name.toLowerCase()))) continue;
    headers.push(name, textOf(raw[i + 1] as Buffer | string));
  }
  return headers;
}

/** Headers of a 101 response: as above, but with the upgrade itself. */
export function switchingHeaders(raw: RawHeaders): string[] {
  return ['connection', 'Upgrade', 'upgrade', 'websocket', ...downstreamHeaders(raw, 101)];
}

/** Head of a response as it goes over the wire; to be sent as latin1. */
export function headText(status: number, reason: string, headers: readonly string[]): string {
  const lines = [`HTTP/1.1 ${status} ${reason}`];
  for (let i = 0; i + 1 < headers.length; i += 2) lines.push(`${headers[i]}: ${headers[i + 1]}`);
  return `${lines.join('\r\n')}\r\n\r\n`;
}

/**
 * The reason of a status line. Undici reads it as UTF-8, Node refuses to write what is not latin1;
 * it has no meaning to lose.
 */
export function reasonPhrase(text: string | undefined): string {
  return text !== undefined && /^[\t\x20-\x7e]*$/.test(text) ? text : '';
}

/** Headers of a response as undici parses them, by name in lower case. */
export type ParsedHeaders = Readonly<Partial<Record<string, string | string[]>>>;

/** First value of a header by its name in lower case; null when it is absent. */
export type HeaderLookup = (name: string) => string | null;

export function headerLookup(headers: ParsedHeaders): HeaderLookup {
  return (name) => {
    const value = headers[name];
    return (Array.isArray(value) ? value[0] : value) ?? null;
  };
}

const REQUEST_ID_HEADERS = ['x-request-id', 'x-oai-request-id'];

/** The upstream's name of a request, as its response gives it; null when it gives none. */
export function requestIdOf(header: HeaderLookup): string | null {
  for (const name of REQUEST_ID_HEADERS) {
    const id = header(name);
    // It is logged, so only what looks like an id is taken.
    if (id !== null && /^[\w.:/+=-]{1,128}$/.test(id)) return id;
  }
  return null;
}

/**
 * Header names that `connection` lists as belonging to this hop; null when there are none. What describes
 * the content belongs to everybody who gets it (RFC 9110, section 7.6.1): without it the next one would
 * read the content in another way than we do.
 */
function connectionOptions(raw: RawHeaders): Set<string> | null {
  let named: Set<string> | null = null;
  for (let i = 0; i + 1 < raw.length; i += 2) {
    const candidate = raw[i] as Buffer | string;
    if (candidate.length !== CONNECTION_LENGTH) continue;
    if (textOf(candidate).toLowerCase() !== 'connection') continue;
    for (const option of textOf(raw[i + 1] as Buffer | string)
      .toLowerCase()
      .split(',')) {
      const name = option.trim();
      if (name === '' || name === 'keep-alive' || name === 'close' || name === 'upgrade') continue;
      if (name.startsWith(CONTENT_PREFIX)) continue;
      named ??= new Set();
      named.add(name);
    }
  }
  return named;
}

/** What becomes of a header of a client. */
type Treatment = 'pass' | 'drop' | 'subprotocol' | 'extensions' | 'encoding';

const treatmentOf = rememberedByName((lower): Treatment => {
  const name = hyphenated(lower);
  if (NEVER_UPSTREAM.has(name) || isKeyHeader(name) || isProxyHeader(name)) return 'drop';
  if (name === SUBPROTOCOL) return 'subprotocol';
  if (name === EXTENSIONS) return 'extensions';
  return name === ACCEPT_ENCODING ? 'encoding' : 'pass';
});

const staysHere = rememberedByName(
  (lower) => NEVER_DOWNSTREAM.has(lower) || lower.startsWith(CORS_PREFIX),
);

/** More names than any client or upstream has use for. */
const MAX_NAMES = 500;
/** Longer ones are judged anew each time. */
const MAX_NAME_LENGTH = 64;

/**
 * Judges a header by its name, and remembers the verdict under the name as it came: the same few names
 * come with each request (measured: judging them anew took 2 % of a request's processor time).
 */
function rememberedByName<Verdict>(judge: (lower: string) => Verdict): (name: string) => Verdict {
  const verdicts = new Map<string, Verdict>();
  return (name) => {
    const known = verdicts.get(name);
    if (known !== undefined) return known;
    const verdict = judge(name.toLowerCase());
    // Whoever makes up names only costs the others a second look.
    if (verdicts.size >= MAX_NAMES) verdicts.clear();
    if (name.length <= MAX_NAME_LENGTH) verdicts.set(name, verdict);
    return verdict;
  };
}

/** CGI and its heirs (WSGI, Rack, PHP) read an underscore as a hyphen. */
function hyphenated(name: string): string {
  return name.includes('_') ? name.replaceAll('_', '-') : name;
}

function textOf(part: Buffer | string): string {
  return typeof part === 'string' ? part : part.toString('latin1');
}
