import type { JWTPayload } from 'jose';
import { decodeJwt } from 'jose/jwt/decode';
import { normalizePlanType, type PlanType } from '../base/plan-type.ts';

/** What an id or access token of a ChatGPT login says about the account; each may be absent. */
export interface ChatGptClaims {
  accountId: string | null;
  userId: string | null;
  email: string | null;
  planType: PlanType | null;
  fedramp: boolean;
  /** Milliseconds since the epoch. */
  expiresAt: number | null;
}

const AUTH_CLAIM = 'https://api.openai.com/auth';
const PROFILE_CLAIM = 'https://api.openai.com/profile';

/**
 * Reads the claims without verifying them: the tokens come from the user's own file, and the
 * backend is the one that judges them (openai/codex `codex-rs/login`).
 * @returns null when the token is not a JWT
 */
export function readChatGptClaims(token: string): ChatGptClaims | null {
  let payload: JWTPayload;
  try {
    payload = decodeJwt(token);
  } catch {
    return null;
  }
  const auth = asRecord(payload[AUTH_CLAIM]);
  const profile = asRecord(payload[PROFILE_CLAIM]);
  return {
    accountId: asText(auth.chatgpt_account_id),
    userId: asText(auth.chatgpt_user_id) ?? asText(auth.user_id),
    email: asText(payload.email) ?? asText(profile.email),
    planType:
      auth.chatgpt_plan_type === undefined ? null : normalizePlanType(auth.chatgpt_plan_type),
    fedramp: auth.chatgpt_account_is_fedramp === true,
    expiresAt: asTime(payload.exp),
  };
}

function asRecord(value: unknown): Record<string, unknown> {
  return typeof value === 'object' && value !== null ? (value as Record<string, unknown>) : {};
}

/** null also for a time that JavaScript cannot represent: JSON numbers may be as large as 1e400. */
function asTime(seconds: unknown): number | null {
  if (typeof seconds !== 'number') return null;
  const date = new Date(seconds * 1000);
  return Number.isNaN(date.getTime()) ? null : date.getTime();
}

function asText(value: unknown): string | null {
  return typeof value === 'string' && value !== '' ? value : null;
}
