import { isIP } from 'node:net';
import type { AltName } from '../base/alt-names.ts';
import { ConfigError } from '../base/errors.ts';
import { parseHost } from '../base/host.ts';
import { type Client, type ClientToken, parseFields, patternsOf } from './client-tokens.ts';

interface Entry {
  name: AltName;
  client: Client;
}

/** What decides of a certificate. */
interface Shown {
  names: readonly AltName[];
  /** Milliseconds since 1970. */
  expiresAt: number;
}

/** The clients that a certificate stands for, by its names. */
export class ClientCertificates {
  readonly #entries: readonly Entry[];

  constructor(entries: readonly Entry[]) {
    this.#entries = entries;
  }

  get list(): ClientToken[] {
    return this.#entries.map(({ client: { key: _, patterns: __, ...shown } }) => shown);
  }

  /**
   * The first entry whose name the certificate holds. Its common name does not count (RFC 9525, section
   * 6.3), and neither does a wildcard, which is the name of nobody in particular.
   */
  find({ names, expiresAt }: Shown): Client | null {
    // One with several ids is nobody's (X509-SVID, section 2).
    const usable =
      names.filter(({ kind }) => kind === 'URI').length > 1 ? namesOfHosts(names) : names;
    const entry = this.#entries.find(({ name }) => usable.some((other) => isSame(name, other)));
    if (!entry) return null;
    const { client } = entry;
    return { ...client, expiresAt: Math.min(expiresAt, client.expiresAt ?? expiresAt) };
  }
}

function namesOfHosts(names: readonly AltName[]): AltName[] {
  return names.filter(({ kind }) => kind === 'DNS');
}

/** Host names are compared without their case, the path of an id as it is. */
function isSame(name: AltName, other: AltName): boolean {
  if (name.kind !== other.kind) return false;
  return name.kind === 'DNS'
    ? name.value === other.value.toLowerCase()
    : name.value === other.value;
}

/** SPIFFE ID, section 2: no port, user, query or empty segment. */
const SPIFFE_ID = /^spiffe:\/\/[a-z0-9._-]{1,255}(?:\/(?!\.{1,2}(?:\/|$))[A-Za-z0-9._-]+)+$/;

/**
 * Reads `clientNames`. Limits may follow a name as in the tokens file; without `for` and `routes` the
 * client gets what `token add` gives by default.
 * @param key of the list, for messages
 * @throws ConfigError naming the entry
 */
export function parseClientNames(key: string, entries: readonly string[]): ClientCertificates {
  const names = new Set<string>();
  const read = entries.map((entry, index): Entry => {
    const refuse = (problem: string): never => {
      throw new ConfigError(`${key}.${index} ${problem}`);
    };
    const [text = '', ...limits] = entry.trim().split(/[ \t]+/);
    const name = parseName(text);
    if (!name) {
      return refuse(
        'must begin with a DNS name such as agent.example, or an id such as spiffe://example/agent; without wildcard, port or address',
      );
    }
    // With the prefix it can never be the name of a token.
    const shown = name.kind === 'DNS' ? `dns:${name.value}` : name.value;
    if (names.has(shown)) refuse('has the name of an earlier entry');
    names.add(shown);
    const fields = parseFields(limits, refuse);
    if (fields.purpose === null && fields.routes === null) fields.purpose = 'inference';
    const client = { name: shown, key: shown, ...fields, patterns: patternsOf(fields) };
    return { name, client };
  });
  return new ClientCertificates(read);
}

function parseName(text: string): AltName | null {
  if (text.length > 2048) return null;
  if (SPIFFE_ID.test(text)) return { kind: 'URI', value: text };
  const host = isIP(text) === 0 ? parseHost(text) : null;
  if (host === null || host.port !== null || isIP(host.name) !== 0) return null;
  return /^[a-z0-9_-]+(?:\.[a-z0-9_-]+)*$/.test(host.name)
    ? { kind: 'DNS', value: host.name }
    : null;
}
