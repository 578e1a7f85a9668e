/**
 * Where clients are known to put a key, an organisation or a project of their own, beside
 * `authorization`. All of it is removed: the only credential that goes upstream is the sidecar's.
 */

/** Ends of header names, in lower case and with hyphens. A client may send its key in any of them. */
export const KEY_HEADER_ENDINGS: readonly string[] = [
  'api-key',
  'apikey',
  'access-key',
  'auth-key',
  'functions-key',
  'master-key',
  'secret-key',
  'subscription-key',
  'token',
  'secret',
  'password',
  'jwt',
  'assertion',
  'auth',
  'authorization',
  'authentication',
  'credential',
  'credentials',
  'organization',
  'organization-id',
  'project',
  'project-id',
];

/** @param name in lower case, with hyphens for underscores */
export function isKeyHeader(name: string): boolean {
  for (const ending of KEY_HEADER_ENDINGS) if (name.endsWith(ending)) return true;
  return false;
}

/** Subprotocols of a WebSocket whose names say that they carry a key (browsers can send no header). */
const KEY_SUBPROTOCOL =
  /(?:^|[-.])(?:key|apikey|token|bearer|auth|authorization|secret|jwt|organization|project)(?:[-.]|$)/;
/** The same without a value of its own: the key is the next in the list. */
const KEY_FOLLOWS =
  /^(?:(?:x-)?(?:api-)?key|apikey|(?:[a-z]+-)?token|bearer|auth|authorization|jwt)$/;
/** Keys of OpenAI, and JWTs, whatever is before them. */
const BARE_KEY = /^(?:sk-|sess-|ey[\w-]{8,}\.)/i;

/**
 * The subprotocols that may pass.
 * @param list value of a `sec-websocket-protocol` header
 * @returns null when none is left; the same text when nothing was removed
 */
export function subprotocolsWithoutKeys(list: string): string | null {
  const offered = list.split(',').map((name) => name.trim());
  const kept = offered.filter((name, index) => {
    const before = index === 0 ? '' : normal(offered[index - 1] ?? '');
    return !KEY_SUBPROTOCOL.test(normal(name)) && !BARE_KEY.test(name) && !KEY_FOLLOWS.test(before);
  });
  if (kept.length === offered.length) return list;
  return kept.length === 0 ? null : kept.join(', ');
}

/**
 * Parameters of a query that carry keys. Narrower than for headers: the backend has parameters such
 * as `token` and `page_token`, which name a page of a list.
 */
export const KEY_PARAMETERS: ReadonlySet<string> = new Set([
  'api-key',
  'apikey',
  'x-api-key',
  'x-goog-api-key',
  'key',
  'subscription-key',
  'ocp-apim-subscription-key',
  'openai-api-key',
  'openai-insecure-api-key',
  'access-token',
  'accesstoken',
  'auth-token',
  'authtoken',
  'bearer-token',
  'id-token',
  'refresh-token',
  'client-secret',
  'authorization',
  'auth',
  'password',
  'jwt',
  'openai-organization',
  'openai-project',
]);

/** What a query without any of them cannot contain; a percent sign may hide it. */
const MAY_HOLD_KEY = /[%+]|key|token|auth|secret|password|jwt|openai/i;

/**
 * @param query empty, or with its question mark
 * @returns the query without the parameters that carry keys; the same text when there are none
 */
export function queryWithoutKeys(query: string): string {
  if (query === '' || !MAY_HOLD_KEY.test(query)) return query;
  // Some servers take a semicolon for an ampersand.
  const parts = query.slice(1).split(/(?<=[&;])/);
  const kept = parts.filter((part) => !KEY_PARAMETERS.has(parameterName(part)));
  if (kept.length === parts.length) return query;
  const text = kept.join('').replace(/[&;]$/, '');
  return text === '' ? '' : `?${text}`;
}

function parameterName(part: string): string {
  const [name = ''] = part.split(/[=&;]/);
  // PHP and Rails read `key[]` and `key[a]` as `key`.
  return normal(decoded(name.replaceAll('+', ' ')).trim().replace(/\[.*$/, ''));
}

function decoded(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}

function normal(name: string): string {
  return name.toLowerCase().replaceAll('_', '-');
}
