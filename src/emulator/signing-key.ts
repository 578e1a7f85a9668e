import {
  generateKeyPair,
  generateKeyPairSync,
  type KeyObject,
  randomUUID,
  sign,
} from 'node:crypto';
import { promisify } from 'node:util';

/** The RSA key of the emulators of one process: signs their JWTs; its public half is the JWKS. */
export interface SigningKey {
  readonly kid: string;
  readonly jwks: { keys: Record<string, unknown>[] };
  /** A compact JWT, RS256. A `kid` of null leaves the header field out. */
  signJwt(claims: Record<string, unknown>, kid?: string | null): string;
}

const MODULUS_BITS = 2048;

let processKey: Promise<SigningKey> | null = null;

/** Made once a process: it takes longer than all the rest of a start. */
export function signingKeyOfProcess(): Promise<SigningKey> {
  processKey ??= createSigningKey();
  return processKey;
}

export async function createSigningKey(): Promise<SigningKey> {
  const { privateKey, publicKey } = await promisify(generateKeyPair)('rsa', {
    modulusLength: MODULUS_BITS,
  });
  const kid = randomUUID();
  const jwk = { ...publicKey.export({ format: 'jwk' }), kid, alg: 'RS256', use: 'sig' };
  return {
    kid,
    jwks: { keys: [jwk] },
    signJwt: (claims, chosenKid = kid) => signJwt(privateKey, claims, chosenKid),
  };
}

let unknownKey: KeyObject | null = null;

/** A key that no key set names, made at its first use: most emulators never need one. */
export function keyOfNobody(): KeyObject {
  unknownKey ??= generateKeyPairSync('rsa', { modulusLength: MODULUS_BITS }).privateKey;
  return unknownKey;
}

// Signed here and not with jose, which signs asynchronously only: issuing a login stays a plain call.
export function signJwt(
  key: KeyObject,
  claims: Record<string, unknown>,
  kid: string | null,
): string {
  const header = { alg: 'RS256', typ: 'JWT', ...(kid === null ? {} : { kid }) };
  const content = [header, claims]
    .map((part) => Buffer.from(JSON.stringify(part)).toString('base64url'))
    .join('.');
  return `${content}.${sign('sha256', Buffer.from(content), key).toString('base64url')}`;
}
