import type { JWTPayload } from 'jose';
import { decodeJwt } from 'jose/jwt/decode';
import { isObject, type JsonObject, textAt } from '../base/json.ts';
import { normalizePlanType, type PlanType } from '../base/plan-type.ts';

/** What an id or access token of a ChatGPT login says about the account; each may be absent. */
interface ChatGptClaims {
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
  const auth = objectAt(payload, AUTH_CLAIM);
  const profile = objectAt(payload, PROFILE_CLAIM);
  return {
    accountId: textAt(auth, 'chatgpt_account_id'),
    userId: textAt(auth, 'chatgpt_user_id') ?? textAt(auth, 'user_id'),
    email: textAt(payload, 'email') ?? textAt(profile, 'email'),
    planType:
      auth.chatgpt_plan_type === undefined ? null : normalizePlanType(auth.chatgpt_plan_type),
    fedramp: auth.chatgpt_account_is_fedramp === true,
    expiresAt: asTime(payload.exp),
  };
}

function objectAt(payload: JWTPayload, claim: string): JsonObject {
  const value = payload[claim];
  return isObject(value) ? value : {};
}

/** null also for a time that JavaScript cannot represent: JSON numbers may be as large as 1e400. */
function asTime(seconds: unknown): number | null {
  if (typeof seconds !== 'number') return null;
  const date = new Date(seconds * 1000);
  return Number.isNaN(date.getTime()) ? null : date.getTime();
}
