import type { JSONWebKeySet, JWTPayload } from 'jose';
import { decodeProtectedHeader } from 'jose/decode/protected_header';
import * as errors from 'jose/errors';
import { createLocalJWKSet } from 'jose/jwks/local';
import { decodeJwt } from 'jose/jwt/decode';
import { jwtVerify } from 'jose/jwt/verify';
import { invalidCredential, type SidecarError } from '../base/errors.ts';
import { isHeaderText, isSegmentId, NOT_HEADER_TEXT, NOT_SEGMENT_ID } from '../base/header-text.ts';
import { parseJsonObject } from '../base/json.ts';
import { normalizePlanType, type PlanType } from '../base/plan-type.ts';
import type { Secret } from '../base/secret.ts';
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
  if (header.alg !== 'RS256') throw invalid('header alg', 'must be RS256');
  if (typeof header.kid !== 'string' || header.kid === '') {
    throw invalid('header kid', 'is missing');
  }
  if (required(payload, 'iss') !== IDENTITY_TOKEN_ISSUER) {
    throw invalid('claim iss', 'names another issuer');
  }
  if (![required(payload, 'aud')].flat().includes(IDENTITY_TOKEN_AUDIENCE)) {
    throw invalid('claim aud', 'names another audience');
  }
  requiredDate(payload, 'iat');
  const expires = requiredDate(payload, 'exp');
  if (expires.getTime() <= nowMs) {
    throw invalid('claim exp', `the token expired at ${expires.toISOString()}`);
  }
  return {
    agentRuntimeId: segmentId(payload, 'agent_runtime_id'),
    key: parseAgentKey(
      requiredString(payload, 'agent_private_key'),
      `${FIELD} claim agent_private_key`,
    ),
    accountId: headerString(payload, 'account_id'),
    userId: requiredString(payload, 'chatgpt_user_id'),
    email: optionalString(payload, 'email'),
    planType: normalizePlanType(required(payload, 'plan_type')),
    fedramp: requiredBoolean(payload, 'chatgpt_account_is_fedramp'),
    expiresAt: expires.getTime(),
  };
}

/** JWKS address for a base URL (openai/codex pull request 18904). */
export function jwksUrl(baseUrl: string): string {
  return baseUrl.includes('/backend-api')
    ? `${baseUrl}/wham/agent-identities/jwks`
    : `${baseUrl}/agent-identities/jwks`;
}

/** Reads the response of the JWKS endpoint; throws a plain error when it is not a key set. */
export function parseJwks(text: string): JSONWebKeySet {
  const jwks = parseJsonObject(text);
  if (!hasKeys(jwks)) throw new Error('the response has no "keys"');
  // Checks the shape of the keys.
  createLocalJWKSet(jwks);
  return jwks;
}

function hasKeys(jwks: object | null): jwks is JSONWebKeySet {
  return jwks !== null && 'keys' in jwks;
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
      throw invalid('header kid', 'names no key of the JWKS');
    }
    if (cause instanceof errors.JWSSignatureVerificationFailed) {
      throw invalid('signature', 'does not verify');
    }
    if (cause instanceof errors.JWTExpired || cause instanceof errors.JWTClaimValidationFailed) {
      throw invalid(`claim ${cause.claim}`, 'does not verify');
    }
    // The cause is dropped: errors of jose may carry the payload.
    throw invalid('signature', 'cannot be verified with this JWKS');
  }
}

function required(payload: JWTPayload, name: string): unknown {
  const value = payload[name];
  if (value === undefined) throw invalid(`claim ${name}`, 'is missing');
  return value;
}

function requiredString(payload: JWTPayload, name: string): string {
  const value = required(payload, name);
  if (typeof value !== 'string' || value.trim() === '') {
    throw invalid(`claim ${name}`, 'must be a non-empty string');
  }
  return value;
}

function segmentId(payload: JWTPayload, name: string): string {
  const value = requiredString(payload, name);
  if (isSegmentId(value)) return value;
  throw invalid(`claim ${name}`, NOT_SEGMENT_ID);
}

/** For a value that goes into a header. */
function headerString(payload: JWTPayload, name: string): string {
  const value = requiredString(payload, name);
  if (isHeaderText(value)) return value;
  throw invalid(`claim ${name}`, NOT_HEADER_TEXT);
}

function optionalString(payload: JWTPayload, name: string): string | null {
  const value = payload[name];
  if (value === undefined || value === null || value === '') return null;
  if (typeof value !== 'string') throw invalid(`claim ${name}`, 'must be a string');
  return value;
}

function requiredBoolean(payload: JWTPayload, name: string): boolean {
  const value = required(payload, name);
  if (typeof value !== 'boolean') throw invalid(`claim ${name}`, 'must be true or false');
  return value;
}

/** A NumericDate (RFC 7519) that JavaScript can represent: JSON numbers may be as large as 1e400. */
function requiredDate(payload: JWTPayload, name: string): Date {
  const value = required(payload, name);
  const date = new Date(typeof value === 'number' ? value * 1000 : Number.NaN);
  if (Number.isNaN(date.getTime())) {
    throw invalid(`claim ${name}`, 'must be a time in seconds since the epoch');
  }
  return date;
}

function invalid(part: string, problem: string): SidecarError {
  return invalidCredential(`${FIELD} ${part}`, problem);
}
