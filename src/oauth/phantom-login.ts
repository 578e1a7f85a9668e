import { isObject, type JsonObject } from '../base/json.ts';
import type { PlanType } from '../base/plan-type.ts';

/** Account, user and OAuth client of every phantom login; no real one is called so. */
const PHANTOM = 'sidecar';
const EMAIL = 'agent@sidecar.invalid';

/**
 * The id token of a phantom login: what Codex reads of an account, all of it made up but the plan,
 * on which features of Codex depend. Nobody has signed it, and nobody else would take it.
 */
export function phantomIdToken(planType: PlanType | null): string {
  const payload = {
    email: EMAIL,
    'https://api.openai.com/auth': {
      chatgpt_account_id: PHANTOM,
      chatgpt_user_id: PHANTOM,
      ...(planType === null ? {} : { chatgpt_plan_type: planType }),
    },
  };
  const parts = [{ alg: 'none', typ: 'JWT' }, payload, 'unsigned'];
  return parts.map((part) => Buffer.from(JSON.stringify(part)).toString('base64url')).join('.');
}

/**
 * An `auth.json` with which Codex (0.169.0 and 0.171.0) is signed in to the sidecar and nowhere else:
 * its tokens are the client token, and it is refreshed at the sidecar.
 * @param issuer origin of the sidecar
 */
export function phantomLogin(
  { issuer, clientToken }: { issuer: string; clientToken: string },
  planType: PlanType | null,
  nowMs: number,
): JsonObject {
  return {
    auth_mode: 'chatgpt',
    OPENAI_API_KEY: null,
    tokens: {
      id_token: phantomIdToken(planType),
      access_token: clientToken,
      refresh_token: clientToken,
      account_id: PHANTOM,
      oauth_provenance: { issuer, client_id: PHANTOM },
    },
    last_refresh: new Date(nowMs).toISOString(),
  };
}

/** Whether a stored login is a phantom one, which may be replaced at any time. */
export function isPhantomLogin(stored: JsonObject): boolean {
  const { tokens, OPENAI_API_KEY: key, agent_identity, personal_access_token } = stored;
  if (!isObject(tokens) || key || agent_identity || personal_access_token) return false;
  const { account_id, access_token, refresh_token, oauth_provenance: origin } = tokens;
  const isOfSidecar = isObject(origin) && origin.client_id === PHANTOM;
  return isOfSidecar && account_id === PHANTOM && access_token === refresh_token;
}
