import { exportJWK, generateKeyPair, type JSONWebKeySet, type JWTPayload, SignJWT } from 'jose';
import { Secret } from '../../src/base/secret.ts';
import { fixture } from './fixture.ts';

/** The time at which the tokens of {@link createIssuer} are valid. */
export const NOW = Date.parse('2026-11-20T21:30:36.500Z');

const NOW_SECONDS = Math.floor(NOW / 1000);

export const validClaims: Readonly<JWTPayload> = {
  iss: 'https://chatgpt.com/codex-backend/agent-identity',
  aud: 'codex-app-server',
  iat: NOW_SECONDS - 60,
  exp: NOW_SECONDS + 3600,
  agent_runtime_id: 'agent-123',
  agent_private_key: fixture.derived[0].private_key_pkcs8_v2,
  account_id: 'account-123',
  chatgpt_user_id: 'user-123',
  email: 'user@example.com',
  plan_type: 'pro',
  chatgpt_account_is_fedramp: false,
};

export interface Issuer {
  jwks: JSONWebKeySet;
  /** Signs the valid claims with `changes` on top; a claim set to undefined is left out. */
  sign(changes?: Record<string, unknown>, kid?: string): Promise<Secret>;
}

/** Plays the service that issues Agent Identity JWTs. */
export async function createIssuer(): Promise<Issuer> {
  const { publicKey, privateKey } = await generateKeyPair('RS256');
  const jwk = { ...(await exportJWK(publicKey)), kid: 'key-1', alg: 'RS256', use: 'sig' };
  return {
    jwks: { keys: [jwk] },
    async sign(changes = {}, kid = 'key-1') {
      const jwt = new SignJWT({ ...validClaims, ...changes });
      return new Secret(await jwt.setProtectedHeader({ alg: 'RS256', kid }).sign(privateKey));
    },
  };
}

/** A token with any header and payload, and a signature that is no signature. */
export function unsignedToken(header: object, payload: object | string): Secret {
  const text = typeof payload === 'string' ? payload : JSON.stringify(payload);
  const parts = [JSON.stringify(header), text, 'signature'];
  return new Secret(parts.map((part) => Buffer.from(part).toString('base64url')).join('.'));
}
