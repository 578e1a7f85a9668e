import { chatGptToken } from './stored-login.ts';
import { headerOf, type WireAnswer, type WireMessage } from './wire.ts';

const ACCOUNT = 'account-of-the-sidecar';
const ACCESS_TOKEN = chatGptToken({ accountId: ACCOUNT, userId: 'user', fedramp: true });

/** `auth.json` of the sidecar whose exchanges are compared. */
export const FEDRAMP_LOGIN = {
  auth_mode: 'chatgpt',
  tokens: { access_token: ACCESS_TOKEN, refresh_token: 'refresh-token-of-the-sidecar' },
};

/**
 * Everything in which an exchange through the sidecar may differ from a direct one. A name that
 * ends in `*` is a prefix. Spelling, order and repetition of all other headers must stay.
 */
export const PERMITTED = {
  /** Of one hop (RFC 9110, section 7.6.1), with whatever `connection` names; both directions. */
  hop: [
    ...['connection', 'keep-alive', 'proxy-connection', 'te', 'trailer', 'transfer-encoding'],
    'upgrade',
  ],
  request: {
    removed: [
      ...['authorization', 'x-openai-agent-assertion', 'chatgpt-account-id', 'x-openai-fedramp'],
      ...['x-openai-actor-authorization', 'x-openai-account-routing-override'],
      ...['openai-organization', 'openai-project', 'cookie', 'proxy-authorization'],
      ...['x-sidecar-token', 'forwarded', 'x-forwarded-*', 'x-real-ip', 'via', 'cf-*'],
      'true-client-ip',
      // Its `100-continue` is answered by the sidecar.
      'expect',
    ],
    /** Behind all others. */
    added: [
      ['authorization', `Bearer ${ACCESS_TOKEN}`],
      ['chatgpt-account-id', ACCOUNT],
      ['x-openai-fedramp', 'true'],
    ],
    /** May stand elsewhere in the list; `host` names the upstream. */
    placed: ['host', 'content-length'],
    /** Without a body, and without the length that RFC 9110, section 8.6, wants: it is added. */
    zeroLength: ['POST', 'PUT', 'PATCH', 'PROPFIND', 'PROPPATCH', 'QUERY'],
    /** Chunks that have all come may go up as one body of known length. */
    framing: { chunked: 'length' },
  },
  answer: {
    removed: ['set-cookie', 'access-control-*', 'timing-allow-origin'],
    /** A body that ends with its connection is sent in chunks. */
    framing: { 'until close': 'chunked' },
  },
  /** May be missing as a whole. */
  dropped: ['trailers'],
} as const;

/** What of a message is compared. */
export interface Comparable extends Omit<WireMessage, 'start'> {
  /** Method and target, or status and reason: the version belongs to the hop. */
  start: string;
  host: string | null;
  length: string | null;
}

/**
 * What the upstream must get through the sidecar where it got `direct` without it.
 * @param actual what it did get
 */
export function expectedRequest(direct: WireMessage, host: string, actual: Comparable): Comparable {
  const { removed, added, framing } = PERMITTED.request;
  const request = comparableRequest(direct);
  const headers = [...without(request.headers, removed), ...added.map(pair)];
  if (isPermitted(framing, request.framing, actual.framing) || needsLength(request)) {
    const length = String(request.body.length);
    return { ...request, ...dropped(actual), host, headers, framing: 'length', length };
  }
  return { ...request, ...dropped(actual), host, headers };
}

function needsLength({ start, framing }: Comparable): boolean {
  const [method] = start.split(' ');
  return framing === 'none' && PERMITTED.request.zeroLength.some((other) => other === method);
}

export function comparableRequest(message: WireMessage): Comparable {
  const [method, target] = message.start.split(' ');
  const headers = without(ownHeaders(message), PERMITTED.request.placed);
  return {
    ...message,
    start: `${method} ${target}`,
    host: headerOf(message, 'host'),
    length: headerOf(message, 'content-length'),
    headers,
  };
}

/**
 * What the client must get through the sidecar where it got `direct` without it.
 * @param actual what it did get
 */
export function expectedAnswer(direct: WireAnswer, actual: WireAnswer): WireAnswer {
  const answer = comparableAnswer(direct);
  const { removed, framing } = PERMITTED.answer;
  const other = isPermitted(framing, answer.framing, actual.framing);
  return {
    ...answer,
    ...dropped(actual),
    headers: without(answer.headers, removed),
    framing: other ? actual.framing : answer.framing,
  };
}

export function comparableAnswer(answer: WireAnswer): WireAnswer {
  return {
    ...answer,
    start: answer.start.replace(/^HTTP\/1\.[01] /, ''),
    headers: ownHeaders(answer),
  };
}

/** The headers that do not end at this hop. */
function ownHeaders(message: WireMessage): Header[] {
  const named = message.headers
    .filter(([name]) => name.toLowerCase() === 'connection')
    .flatMap(([, value]) => value.toLowerCase().split(','))
    .map((name) => name.trim());
  return without(message.headers, [...PERMITTED.hop, ...named]);
}

/** What is there whole or not at all, where it is not there. */
function dropped(actual: Partial<WireAnswer>): Partial<WireAnswer> {
  return Object.fromEntries(
    PERMITTED.dropped.filter((part) => actual[part]?.length === 0).map((part) => [part, []]),
  );
}

function isPermitted(changes: Record<string, string>, from: string, to: string): boolean {
  return changes[from] === to;
}

type Header = [string, string];

function without(headers: readonly Header[], names: readonly string[]): Header[] {
  return headers.filter(([name]) => {
    const lower = name.toLowerCase();
    return !names.some((other) =>
      other.endsWith('*') ? lower.startsWith(other.slice(0, -1)) : lower === other,
    );
  });
}

function pair([name, value]: readonly [string, string]): Header {
  return [name, value];
}
