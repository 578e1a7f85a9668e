import {
  createHash,
  createPrivateKey,
  createPublicKey,
  sign as edSign,
  verify as edVerify,
  type KeyObject,
  randomBytes,
} from 'node:crypto';
import { invalidCredential } from '../base/errors.ts';

/**
 * Ed25519 keys in the encodings of the Agent Identity protocol. Sources: openai/codex
 * `codex-rs/agent-identity`, RFC 8410 (PKCS#8 version 1), RFC 5958 (version 2, with the public
 * key), RFC 8709 (OpenSSH public form).
 */
export interface AgentKey {
  readonly privateKey: KeyObject;
  /** `ssh-ed25519 AAAA…`, without a comment. */
  readonly publicKeySsh: string;
}

const SEED_BYTES = 32;
const DERIVATION_CONTEXT = 'codex-agent-identity-ed25519-v1';
const PKCS8_V1_PREFIX = Buffer.from('302e020100300506032b657004220420', 'hex');
const PKCS8_V2_PREFIX = Buffer.from('3051020101300506032b657004220420', 'hex');
const PKCS8_V2_PUBLIC = Buffer.from('812100', 'hex');
const SPKI_PREFIX = Buffer.from('302a300506032b6570032100', 'hex');
const SSH_PREFIX = Buffer.concat([sshString(Buffer.from('ssh-ed25519')), Buffer.of(0, 0, 0, 32)]);

/**
 * Seed of a new key as Codex derives it: the first half of SHA-512(context ‖ material).
 * @param material 64 random bytes
 */
export function deriveSeed(material: Buffer): Buffer {
  const digest = createHash('sha512').update(DERIVATION_CONTEXT).update(material).digest();
  return digest.subarray(0, SEED_BYTES);
}

export function generateAgentKey(): AgentKey {
  const material = randomBytes(64);
  const seed = deriveSeed(material);
  material.fill(0);
  return keyFromSeed(seed);
}

/**
 * Reads a private key as it stands in `auth.json` and in JWT claims: base64 of PKCS#8 DER.
 * OpenSSL 3.0, and with it Node 20, refuses version 2, which is what Codex writes; so the seed is
 * read from the DER and imported as version 1.
 * @param field name of the place, for the error message; the value never appears in it
 */
export function parseAgentKey(encoded: string, field: string): AgentKey {
  const der = Buffer.from(encoded, 'base64');
  if (der.length === 0 || der.toString('base64') !== encoded) {
    throw invalidCredential(field, 'is not padded standard base64');
  }
  try {
    return keyFromSeed(Buffer.from(seedOf(der, field)), publicPartOf(der), field);
  } finally {
    der.fill(0);
  }
}

/** PKCS#8 version 2 in base64, the form that Codex writes to `auth.json`. */
export function encodeAgentKey(key: AgentKey): string {
  const seed = exportSeed(key);
  const der = Buffer.concat([PKCS8_V2_PREFIX, seed, PKCS8_V2_PUBLIC, rawPublicKey(key.privateKey)]);
  const encoded = der.toString('base64');
  seed.fill(0);
  der.fill(0);
  return encoded;
}

/** The 32-byte seed. The caller overwrites it after use. */
export function exportSeed(key: AgentKey): Buffer {
  const der = key.privateKey.export({ format: 'der', type: 'pkcs8' });
  const seed = Buffer.from(der.subarray(PKCS8_V1_PREFIX.length));
  der.fill(0);
  return seed;
}

/** Standard base64 of the Ed25519 signature over the UTF-8 bytes of `message`. */
export function signMessage(key: AgentKey, message: string): string {
  return edSign(null, Buffer.from(message), key.privateKey).toString('base64');
}

/** Whether `signature`, in padded standard base64, is that of `message`. */
export function verifyMessage(publicKeySsh: string, message: string, signature: string): boolean {
  const raw = Buffer.from(signature, 'base64');
  return raw.toString('base64') === signature && verifyBytes(publicKeySsh, message, raw);
}

/** The same for the bytes of a signature. */
export function verifyBytes(publicKeySsh: string, message: string, signature: Buffer): boolean {
  return edVerify(null, Buffer.from(message), parseSshPublicKey(publicKeySsh), signature);
}

/** Throws a plain error when `line` is not an OpenSSH Ed25519 public key. */
export function parseSshPublicKey(line: string): KeyObject {
  const [algorithm, encoded] = line.split(' ');
  const blob = Buffer.from(encoded ?? '', 'base64');
  const wellFormed =
    algorithm === 'ssh-ed25519' &&
    blob.length === SSH_PREFIX.length + SEED_BYTES &&
    blob.subarray(0, SSH_PREFIX.length).equals(SSH_PREFIX);
  if (!wellFormed) throw new Error('not an OpenSSH Ed25519 public key');
  const der = Buffer.concat([SPKI_PREFIX, blob.subarray(SSH_PREFIX.length)]);
  return createPublicKey({ key: der, format: 'der', type: 'spki' });
}

/** `SHA256:…` as `ssh-keygen -l` prints it. */
export function fingerprint(publicKeySsh: string): string {
  const blob = Buffer.from(publicKeySsh.split(' ')[1] ?? '', 'base64');
  return `SHA256:${createHash('sha256').update(blob).digest('base64').replace(/=+$/, '')}`;
}

function keyFromSeed(seed: Buffer, expectedPublic: Buffer | null = null, field = 'key'): AgentKey {
  const der = Buffer.concat([PKCS8_V1_PREFIX, seed]);
  const privateKey = createPrivateKey({ key: der, format: 'der', type: 'pkcs8' });
  der.fill(0);
  seed.fill(0);
  const rawPublic = rawPublicKey(privateKey);
  if (expectedPublic && !expectedPublic.equals(rawPublic)) {
    throw invalidCredential(field, 'holds a public key that does not belong to its private key');
  }
  const blob = Buffer.concat([SSH_PREFIX, rawPublic]);
  return { privateKey, publicKeySsh: `ssh-ed25519 ${blob.toString('base64')}` };
}

function seedOf(der: Buffer, field: string): Buffer {
  const seed = der.subarray(PKCS8_V1_PREFIX.length, PKCS8_V1_PREFIX.length + SEED_BYTES);
  if (startsWith(der, PKCS8_V1_PREFIX) && der.length === PKCS8_V1_PREFIX.length + SEED_BYTES) {
    return seed;
  }
  if (startsWith(der, PKCS8_V2_PREFIX) && publicPartOf(der)) return seed;
  throw invalidCredential(field, 'is not an Ed25519 private key in PKCS#8 version 1 or 2');
}

function publicPartOf(der: Buffer): Buffer | null {
  const start = PKCS8_V2_PREFIX.length + SEED_BYTES;
  const keyStart = start + PKCS8_V2_PUBLIC.length;
  if (der.length !== keyStart + 32) return null;
  return der.subarray(start, keyStart).equals(PKCS8_V2_PUBLIC)
    ? Buffer.from(der.subarray(keyStart))
    : null;
}

function rawPublicKey(privateKey: KeyObject): Buffer {
  return createPublicKey(privateKey)
    .export({ format: 'der', type: 'spki' })
    .subarray(SPKI_PREFIX.length);
}

function startsWith(buffer: Buffer, prefix: Buffer): boolean {
  return buffer.subarray(0, prefix.length).equals(prefix);
}

function sshString(content: Buffer): Buffer {
  const length = Buffer.alloc(4);
  length.writeUInt32BE(content.length);
  return Buffer.concat([length, content]);
}
