import { isObject } from '../../../src/base/json.ts';
import type { EmulatorRecord } from '../../../src/emulator/index.ts';
import type { FactBook } from './facts.ts';

/** What Codex sent, as the emulated backend recorded it. */
export type SentRequest = Pick<
  EmulatorRecord,
  'method' | 'path' | 'transport' | 'headers' | 'body' | 'frames'
>;

/** Names by which the values of one run are known, to be replaced. */
export interface RunNames {
  /** Host and port of the base URLs that were configured. */
  sidecarHost: string;
  /** Parts of paths that belong to the account of the run. */
  accountId: string;
}

/**
 * Headers of which the value matters to a proxy and is the same in every run. Of the others only the
 * names are facts.
 */
const CHOICES = new Set([
  'accept',
  'accept-encoding',
  'content-encoding',
  'content-type',
  'expect',
  'openai-beta',
  'sec-websocket-extensions',
  'sec-websocket-protocol',
  'sec-websocket-version',
  'te',
  'transfer-encoding',
]);

/** Fields of bodies of which the value is a fact as well. */
const CHOSEN_FIELDS = ['grant_type', 'refresh_reason'];

/** Keys of bodies are named down to this depth. */
const DEPTH = 2;
const UUID = /^[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i;
/** As the emulated backend makes them. */
const EMULATED_ID = /^[a-z][\w%+:-]*\d-[0-9a-f]{18}$/i;

/** Adds what a request says about the Codex that sent it. */
export function addRequestFacts(book: FactBook, record: SentRequest, names: RunNames): void {
  const [path = '', query = ''] = record.path.split('?', 2);
  const subject = requestName(record, path, names);
  book.add('requests', subject);
  for (const [name, value] of Object.entries(record.headers)) {
    for (const text of headerFacts(name, value)) book.add('headers', subject, text);
  }
  for (const name of new URLSearchParams(query).keys()) book.add('query', subject, name);
  if (record.body === null && 'content-encoding' in record.headers) {
    book.add('bodies', subject, '(compressed, so it was not read)');
  }
  for (const key of keyPaths(record.body)) book.add('bodies', subject, key);
  for (const field of CHOSEN_FIELDS) {
    const chosen = isObject(record.body) ? record.body[field] : undefined;
    if (chosen !== undefined) book.add('bodies', subject, `${field}: ${chosen}`);
  }
  for (const frame of record.frames) {
    for (const key of keyPaths(frame)) book.add('bodies', subject, `${frameType(frame)}: ${key}`);
  }
}

/** Method, origin and path, such as `GET sidecar/backend-api/codex/models`. */
export function requestName(
  record: SentRequest,
  path: string,
  { sidecarHost, accountId }: RunNames,
): string {
  const { method, transport } = record;
  const origin = originOf(record, sidecarHost);
  const segments = path.split('/').map((segment) => {
    const isId = segment === accountId || UUID.test(segment) || EMULATED_ID.test(segment);
    return isId ? '{id}' : segment;
  });
  return `${transport === 'websocket' ? 'GET+upgrade' : method} ${origin}${segments.join('/')}`;
}

/** `sidecar`, or the origin of a real host. */
export function originOf({ headers }: SentRequest, sidecarHost: string): string {
  return headers.host === sidecarHost ? 'sidecar' : `https://${headers.host}`;
}

function headerFacts(name: string, value: string): string[] {
  if (CHOICES.has(name)) return [`${name}: ${value}`];
  if (name === 'authorization') return [`${name}: ${value.split(' ')[0]}`];
  const keys = keyPaths(parseJson(value));
  return [name, ...keys.map((key) => `${name}: ${key}`)];
}

/** The keys of a JSON value, such as `input[].role`; those that are ids or paths are replaced. */
export function keyPaths(value: unknown, depth = DEPTH): string[] {
  if (depth === 0 || typeof value !== 'object' || value === null) return [];
  if (Array.isArray(value))
    return unique(value.flatMap((item) => keyPaths(item, depth))).map((key) => `[].${key}`);
  return unique(
    Object.entries(value).flatMap(([key, inner]) => {
      const name = UUID.test(key) || key.includes('/') ? '{id}' : key;
      const deeper = keyPaths(inner, depth - 1);
      return [
        name,
        ...deeper.map((rest) => (rest.startsWith('[]') ? name + rest : `${name}.${rest}`)),
      ];
    }),
  );
}

function frameType(frame: unknown): string {
  const type = typeof frame === 'object' && frame !== null && 'type' in frame ? frame.type : null;
  return `frame ${typeof type === 'string' ? type : 'without a type'}`;
}

function unique(texts: string[]): string[] {
  return [...new Set(texts)];
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return null;
  }
}
