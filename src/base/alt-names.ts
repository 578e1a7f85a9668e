/** One of the names that a certificate is for. */
export interface AltName {
  /** As OpenSSL calls it: `DNS`, `URI`, `IP Address` and others. */
  kind: string;
  value: string;
}

/** A value with a character that could be taken for the end of it is a JSON string (Node.js does that). */
const NAME = /(?:^|, )([A-Za-z ]+):("(?:[^"\\]|\\.)*"|[^,"]*)/gy;

/**
 * The names of a certificate.
 * @param text as `X509Certificate.subjectAltName` has it; undefined when there are none
 * @returns an empty list when any part of the text cannot be read
 */
export function readAltNames(text: string | undefined): AltName[] {
  if (text === undefined || text === '') return [];
  const names: AltName[] = [];
  let read = 0;
  for (const match of text.matchAll(NAME)) {
    const [all, kind = '', value = ''] = match;
    read += all.length;
    names.push({ kind, value: value.startsWith('"') ? unquoted(value) : value });
  }
  return read === text.length ? names : [];
}

function unquoted(value: string): string {
  try {
    return String(JSON.parse(value));
  } catch {
    return '';
  }
}
