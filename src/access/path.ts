import type { NormalizedTarget } from '../inbound/request-context.ts';

// Segments of characters that every server reads alike: no dot segment, nothing encoded.
const PLAIN_PATH = /^(?:\/(?!\.{1,2}(?:\/|$))[A-Za-z0-9._~!$&'()*+,=:@-]+)+$/;
const PATH_CHARACTER = /^[A-Za-z0-9._~!$&'()*+,=:@/-]$/;
const UNRESERVED = /[A-Za-z0-9._~-]/;
const QUERY = /^\?[\x21\x22\x24-\x7e]*$/;
// Servers differ in how they read an encoded slash, backslash, NUL or other control character, `;`
// (path parameters) and `%` (double encoding), so all of them are refused.
const REFUSED_OCTETS = '/\\;%\x7f';

/**
 * The one normalisation of request targets (RFC 3986, section 6.2.2): percent-encoded unreserved
 * characters are decoded, hex digits become upper case, nothing else changes.
 * @param target the request target as the client sent it
 * @returns null when it is not in origin form, has dot segments or empty segments, or holds octets
 *   that could be read in two ways; such a request gets a 400 and is never forwarded
 */
export function normalizeTarget(target: string): NormalizedTarget | null {
  const mark = target.indexOf('?');
  const rawPath = mark === -1 ? target : target.slice(0, mark);
  const query = mark === -1 ? '' : target.slice(mark);
  if (query !== '' && !QUERY.test(query)) return null;
  if (PLAIN_PATH.test(rawPath)) return { path: rawPath, query };
  const path = decodeUnreserved(rawPath);
  if (path === null || !hasCleanSegments(path)) return null;
  return { path, query };
}

function decodeUnreserved(rawPath: string): string | null {
  let path = '';
  for (let i = 0; i < rawPath.length; i++) {
    const character = rawPath.charAt(i);
    if (character !== '%') {
      if (!PATH_CHARACTER.test(character)) return null;
      path += character;
      continue;
    }
    const hex = rawPath.slice(i + 1, i + 3);
    if (!/^[0-9A-Fa-f]{2}$/.test(hex)) return null;
    const octet = String.fromCharCode(Number.parseInt(hex, 16));
    if (octet < ' ' || REFUSED_OCTETS.includes(octet)) return null;
    path += UNRESERVED.test(octet) ? octet : `%${hex.toUpperCase()}`;
    i += 2;
  }
  return isUtf8(path) ? path : null;
}

function hasCleanSegments(path: string): boolean {
  if (!path.startsWith('/') || path === '/') return path === '/';
  return path
    .slice(1)
    .split('/')
    .every((segment) => segment !== '' && segment !== '.' && segment !== '..');
}

function isUtf8(path: string): boolean {
  try {
    decodeURIComponent(path);
    return true;
  } catch {
    return false;
  }
}
