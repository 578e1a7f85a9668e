import {
  base64url,
  CompactEncrypt,
  calculateJwkThumbprint,
  compactDecrypt,
  decodeProtectedHeader,
} from 'jose';
import { ConfigError, errnoOf } from '../base/errors.ts';
import { isObject, parseJsonObject } from '../base/json.ts';
import type { Logger } from '../base/logger.ts';
import { Secret } from '../base/secret.ts';
import { type FileState, readState } from '../files/file-state.ts';
import { readTextFile } from '../files/read-text.ts';
import type { Counters } from './remembered.ts';
import { StoreUnavailable } from './store.ts';

/** Seals a document for a place that must not be able to read it. */
export interface Sealer {
  seal(text: string, counters: Counters): Promise<string>;
  /** @throws StoreUnavailable when no key opens it, or when it was sealed with other counters */
  open(sealed: string, counters: Counters): Promise<string>;
  /** First characters of the id of the key that sealed it; null when it does not say. */
  keyIdOf(sealed: string): string | null;
}

interface Key {
  id: string;
  bytes: Uint8Array;
}

const TYPE = 'codex-auth-sidecar';
const KEY_BYTES = 32;
const SHOWN = 8;

/** The keys of a JWK Set: the first one seals, all of them open. */
export class KeyRing {
  readonly #keys: readonly Key[];

  private constructor(keys: readonly Key[]) {
    this.#keys = keys;
  }

  /**
   * @param text `{"keys":[{"kty":"oct","k":"…"}]}` with keys of 32 bytes; a `kid` must be the
   * thumbprint of RFC 7638, so that two keys cannot have one name
   * @throws ConfigError
   */
  static async parse(text: string): Promise<KeyRing> {
    const set = parseJsonObject(text);
    const list = Array.isArray(set?.keys) ? set.keys : null;
    if (!list || list.length === 0) {
      throw new ConfigError(
        'store.keyFile holds no JWK Set with a key; "store key" prints a new one',
      );
    }
    return new KeyRing(await Promise.all(list.map(readKey)));
  }

  /** A new JWK Set with one random key, as text. */
  static async generate(): Promise<string> {
    const k = base64url.encode(crypto.getRandomValues(new Uint8Array(KEY_BYTES)));
    const kid = await calculateJwkThumbprint({ kty: 'oct', k });
    return JSON.stringify({ keys: [{ kty: 'oct', k, kid }] });
  }

  /** Id of the key that seals. */
  get firstId(): string {
    return this.#keys[0]?.id ?? '';
  }

  seal(text: string, name: string, { login, rotation, registration }: Counters): Promise<string> {
    const [key] = this.#keys;
    if (!key) throw new ConfigError('store.keyFile holds no key');
    const header = { alg: 'dir', enc: 'A256GCM', kid: key.id, typ: TYPE };
    return new CompactEncrypt(new TextEncoder().encode(text))
      .setProtectedHeader({ ...header, name, login, rotation, registration })
      .encrypt(key.bytes);
  }

  /** @throws StoreUnavailable */
  async open(sealed: string, name: string, counters: Counters): Promise<string> {
    const { plaintext, protectedHeader } = await this.#decrypt(sealed);
    const expected = { typ: TYPE, name, ...counters };
    for (const [field, value] of Object.entries(expected)) {
      if (protectedHeader[field] === value) continue;
      throw new StoreUnavailable(
        `the sealed document in the store is not the one of this row: its ${field} differs; somebody wrote to the table who has no key`,
      );
    }
    return new TextDecoder().decode(plaintext);
  }

  async #decrypt(sealed: string) {
    const id = keyIdOf(sealed);
    const key = this.#keys.find((known) => known.id === id);
    if (!key) {
      throw new StoreUnavailable(
        `store.keyFile has no key ${id?.slice(0, SHOWN) ?? 'of this id'}, which sealed the login; add that key, or sign in again under another store.name`,
      );
    }
    try {
      return await compactDecrypt(sealed, key.bytes, {
        keyManagementAlgorithms: ['dir'],
        contentEncryptionAlgorithms: ['A256GCM'],
      });
    } catch (cause) {
      throw new StoreUnavailable('the sealed document in the store was altered', cause);
    }
  }
}

/** Seals with the keys of a file, which is read again when it changes. */
export class FileSealer implements Sealer {
  readonly #path: string;
  readonly #name: string;
  readonly #log: Logger;
  #state: FileState | null = null;
  #ring: KeyRing | null = null;

  /** @param name the name of the login, which no other login's document opens under */
  constructor(path: string, name: string, log: Logger) {
    this.#path = path;
    this.#name = name;
    this.#log = log;
  }

  async seal(text: string, counters: Counters): Promise<string> {
    return (await this.ring()).seal(text, this.#name, counters);
  }

  async open(sealed: string, counters: Counters): Promise<string> {
    return (await this.ring()).open(sealed, this.#name, counters);
  }

  keyIdOf(sealed: string): string | null {
    return keyIdOf(sealed)?.slice(0, SHOWN) ?? null;
  }

  /**
   * The keys as the file holds them now; while it cannot be used, those it held before.
   * @throws ConfigError when it could never be used
   */
  async ring(): Promise<KeyRing> {
    const state = await readState(this.#path);
    if (this.#ring && state === this.#state) return this.#ring;
    try {
      this.#ring = await KeyRing.parse(await readKeyFile(this.#path));
    } catch (error) {
      if (!this.#ring) throw error;
      this.#log.error(
        { err: error },
        'the key file cannot be used; going on with the keys it held',
      );
    }
    this.#state = state;
    return this.#ring;
  }
}

async function readKeyFile(path: string): Promise<string> {
  try {
    return await readTextFile(path);
  } catch (error) {
    const problem = error instanceof Error ? error.message : errnoOf(error);
    throw new ConfigError(`store.keyFile: cannot read ${path} (${problem})`);
  }
}

async function readKey(value: unknown, index: number): Promise<Key> {
  const wrong = (problem: string) => new ConfigError(`store.keyFile: keys.${index} ${problem}`);
  if (!isObject(value)) throw wrong('is not a JWK');
  const { kty, k, kid } = value;
  if (kty !== 'oct' || typeof k !== 'string') throw wrong('is not a key of kty "oct" with k');
  const secret = new Secret(k);
  const bytes = decodeKey(secret.reveal());
  if (bytes?.length !== KEY_BYTES) throw wrong(`must hold ${KEY_BYTES} bytes in base64url`);
  const id = await calculateJwkThumbprint({ kty: 'oct', k: secret.reveal() });
  if (kid !== undefined && kid !== id) {
    throw wrong('has a kid that is not its thumbprint (RFC 7638); leave kid out');
  }
  return { id, bytes };
}

function decodeKey(k: string): Uint8Array | null {
  try {
    return base64url.decode(k);
  } catch {
    return null;
  }
}

function keyIdOf(sealed: string): string | null {
  try {
    const { kid } = decodeProtectedHeader(sealed);
    return typeof kid === 'string' ? kid : null;
  } catch {
    return null;
  }
}
