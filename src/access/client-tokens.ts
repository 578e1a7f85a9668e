import { createHash, timingSafeEqual } from 'node:crypto';
import { ConfigError } from '../config.ts';

interface TokenEntry {
  name: string;
  digest: Buffer;
}

/** The client tokens that may use the proxy; only their SHA-256 digests are known. */
export class ClientTokens {
  readonly #entries: readonly TokenEntry[];

  constructor(entries: readonly TokenEntry[]) {
    this.#entries = entries;
  }

  get size(): number {
    return this.#entries.length;
  }

  /** Compares with every entry in constant time. */
  accepts(token: string | null): boolean {
    if (token === null) return false;
    const digest = createHash('sha256').update(token).digest();
    let accepted = false;
    for (const entry of this.#entries) {
      if (timingSafeEqual(digest, entry.digest)) accepted = true;
    }
    return accepted;
  }
}

/**
 * Reads a tokens file: one `name:sha256-of-token-in-hex` a line; blank lines and lines that begin
 * with `#` are skipped.
 * @throws ConfigError naming the line, never its content
 */
export function parseClientTokens(text: string): ClientTokens {
  const entries: TokenEntry[] = [];
  for (const [index, line] of text.split('\n').entries()) {
    const trimmed = line.trim();
    if (trimmed === '' || trimmed.startsWith('#')) continue;
    const match = /^([A-Za-z0-9._-]+):([0-9a-f]{64})$/.exec(trimmed);
    if (!match?.[1] || !match[2]) {
      throw new ConfigError(`clients.tokensFile line ${index + 1} is not name:sha256`);
    }
    entries.push({ name: match[1], digest: Buffer.from(match[2], 'hex') });
  }
  return new ClientTokens(entries);
}
