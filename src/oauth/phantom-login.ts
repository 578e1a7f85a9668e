import { isObject, type JsonObject } from '../base/json.ts';
import type { PlanType } from '../base/plan-type.ts';

/** OAuth client of every phantom login, and the account that it has by default; no real one is called so. */
const PHANTOM = 'sidecar';
const EMAIL = 'agent@sidecar.invalid';

/** Whose login Codex takes a phantom login for. */
export interface PhantomAccount {
  /** Of account and user; null for a login that names neither. */
  id: string | null;
  /** Features of Codex depend on it. */
  planType: PlanType | null;
}

/** An account that does not exist, with the plan of the real one. */
export function madeUpAccount(planType: PlanType | null): PhantomAccount {
  return { id: PHANTOM, planType };
}

/**
 * The id token of a phantom login: what Codex reads of an account. Nobody has signed it, and nobody
 * else would take it.
 */
export function phantomIdToken({ id, planType }: PhantomAccount): string {
  const payload = {
    email: EMAIL,
    'https://api.openai.com/auth': {
      ...(id === null ? {} : { chatgpt_account_id: id, chatgpt_user_id: id }),
      ...(planType === null ? {} : { chatgpt_plan_type: planType }),
    },
  };
  const parts = [{ alg: 'none', typ: 'JWT' }, payload, 'unsigned'];
  return parts.map((part) => Buffer.from(JSON.stringify(part)).toString('base64url')).join('.');
}

interface PhantomOrigin {
  /** Origin of the sidecar. */
  issuer: string;
  clientToken: string;
}

/**
 * An `auth.json` with which Codex (0.169.0 and 0.171.0) is signed in to the sidecar and nowhere else:
 * its tokens are the client token, and it is refreshed at the sidecar.
 */
export function phantomLogin(
  { issuer, clientToken }: PhantomOrigin,
  account: PhantomAccount,
  nowMs: number,
): JsonObject {
  return {
    auth_mode: 'chatgpt',
    OPENAI_API_KEY: null,
    tokens: {
      id_token: phantomIdToken(account),
      access_token: clientToken,
      refresh_token: clientToken,
      ...(account.id === null ? {} : { account_id: account.id }),
      oauth_provenance: { issuer, client_id: PHANTOM },
    },
    last_refresh: new Date(nowMs).toISOString(),
  };
}

/** An `auth.json` with which Codex asks the sidecar for responses alone, as with an API key. */
export function phantomKey({ issuer, clientToken }: PhantomOrigin): JsonObject {
  return {
    auth_mode: 'apikey',
    OPENAI_API_KEY: clientToken,
    oauth_provenance: { issuer, client_id: PHANTOM },
  };
}

/** Whether a stored login is a phantom one, which may be replaced at any time. */
export function isPhantomLogin(stored: JsonObject): boolean {
  const { tokens, OPENAI_API_KEY: key, agent_identity, personal_access_token } = stored;
  if (agent_identity || personal_access_token) return false;
  if (!isObject(tokens)) return Boolean(key) && isOfSidecar(stored);
  return !key && isOfSidecar(tokens) && tokens.access_token === tokens.refresh_token;
}

function isOfSidecar({ oauth_provenance: origin }: JsonObject): boolean {
  return isObject(origin) && origin.client_id === PHANTOM;
}
