import type { JSONWebKeySet, JWTPayload } from 'jose';
import { createLocalJWKSet, decodeJwt, decodeProtectedHeader, errors, jwtVerify } from 'jose';
import { invalidCredential, type SidecarError } from '../errors.ts';
import { normalizePlanType, type PlanType } from '../plan-type.ts';
import type { Secret } from '../secret.ts';
import { type AgentKey, parseAgentKey } from './keys.ts';

export const IDENTITY_TOKEN_ISSUER = 'https://chatgpt.com/codex-backend/agent-identity';
export const IDENTITY_TOKEN_AUDIENCE = 'codex-app-server';

/** What an Agent Identity JWT says (openai/codex pull request 18811). */
export interface IdentityTokenClaims {
  agentRuntimeId: string;
  key: AgentKey;
  accountId: string;
  userId: string;
  email: string | null;
  planType: PlanType;
  fedramp: boolean;
  /** Milliseconds since the epoch. */
  expiresAt: number;
}

const FIELD = 'Agent Identity JWT';

/**
 * Checks shape, `kid`, issuer, audience, expiry and every required claim without the network, so
 * that a bad paste fails at once. The signature is checked by {@link verifyIdentityToken}.
 */
export function decodeIdentityToken(token: Secret, nowMs: number): IdentityTokenClaims {
  let payload: JWTPayload;
  let header: ReturnType<typeof decodeProtectedHeader>;
  try {
    payload = decodeJwt(token.reveal());
    header = decodeProtectedHeader(token.reveal());
  } catch {
    throw invalidCredential(FIELD, 'is not a JWT');
  }
  if (header.alg !== 'RS256') throw invalid('alg', 'must be RS256');
  if (typeof header.kid !== 'string' || header.kid === '') throw invalid('kid', 'is missing');
  if (payload.iss === undefined) throw invalid('iss', 'is missing');
  if (payload.iss !== IDENTITY_TOKEN_ISSUER) throw invalid('iss', 'names another issuer');
  if (payload.aud === undefined) throw invalid('aud', 'is missing');
  if (![payload.aud].flat().includes(IDENTITY_TOKEN_AUDIENCE)) {
    throw invalid('aud', 'names another audience');
  }
  if (typeof payload.iat !== 'number') throw invalid('iat', 'is missing');
  if (typeof payload.exp !== 'number') throw invalid('exp', 'is missing');
  if (payload.exp * 1000 <= nowMs) {
    throw invalid('exp', `the token expired at ${new Date(payload.exp * 1000).toISOString()}`);
  }
  return {
    agentRuntimeId: requiredString(payload, 'agent_runtime_id'),
    key: parseAgentKey(
      requiredString(payload, 'agent_private_key'),
      `${FIELD} claim agent_private_key`,
    ),
    accountId: requiredString(payload, 'account_id'),
    userId: requiredString(payload, 'chatgpt_user_id'),
    email: optionalString(payload, 'email'),
    planType: normalizePlanType(requiredString(payload, 'plan_type')),
    fedramp: requiredBoolean(payload, 'chatgpt_account_is_fedramp'),
    expiresAt: payload.exp * 1000,
  };
}

/** JWKS address for a base URL (openai/codex pull request 18904). */
export function jwksUrl(baseUrl: string): string {
  const base = baseUrl.replace(/\/+$/, '');
  return base.includes('/backend-api')
    ? `${base}/wham/agent-identities/jwks`
    : `${base}/agent-identities/jwks`;
}

/** Reads the answer of the JWKS endpoint; throws a plain error when it is not a key set. */
export function parseJwks(text: string): JSONWebKeySet {
  const value: unknown = JSON.parse(text);
  if (typeof value !== 'object' || value === null || !('keys' in value)) {
    throw new Error('the answer has no "keys"');
  }
  createLocalJWKSet(value as JSONWebKeySet);
  return value as JSONWebKeySet;
}

/** Verifies the signature by `kid`, and issuer, audience and expiry once more. */
export async function verifyIdentityToken(
  token: Secret,
  jwks: JSONWebKeySet,
  nowMs: number,
): Promise<void> {
  try {
    await jwtVerify(token.reveal(), createLocalJWKSet(jwks), {
      algorithms: ['RS256'],
      issuer: IDENTITY_TOKEN_ISSUER,
      audience: IDENTITY_TOKEN_AUDIENCE,
      currentDate: new Date(nowMs),
    });
  } catch (cause) {
    if (cause instanceof errors.JWKSNoMatchingKey) {
      throw invalid('kid', 'names no key of the JWKS');
    }
    if (cause instanceof errors.JWSSignatureVerificationFailed) {
      throw invalid('signature', 'does not verify');
    }
    if (cause instanceof errors.JWTExpired || cause instanceof errors.JWTClaimValidationFailed) {
      throw invalid(cause.claim, 'does not verify');
    }
    // The cause is dropped: errors of jose may carry the payload.
    throw invalid('signature', 'cannot be verified with this JWKS');
  }
}

function requiredString(payload: JWTPayload, name: string): string {
  const value = payload[name];
  if (value === undefined) throw invalid(name, 'is missing');
  if (typeof value !== 'string' || value.trim() === '') {
    throw invalid(name, 'must be a non-empty string');
  }
  return value;
}

function optionalString(payload: JWTPayload, name: string): string | null {
  const value = payload[name];
  if (value === undefined || value === null || value === '') return null;
  if (typeof value !== 'string') throw invalid(name, 'must be a string');
  return value;
}

function requiredBoolean(payload: JWTPayload, name: string): boolean {
  const value = payload[name];
  if (value === undefined) throw invalid(name, 'is missing');
  if (typeof value !== 'boolean') throw invalid(name, 'must be true or false');
  return value;
}

function invalid(claim: string, problem: string): SidecarError {
  return invalidCredential(`${FIELD} claim ${claim}`, problem);
}
