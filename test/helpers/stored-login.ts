import { unsignedToken } from './identity-jwt.ts';

/** The claims of a ChatGPT token under the names of the tests; what is left out is absent. */
export interface TokenClaims {
  accountId?: string;
  userId?: string;
  plan?: unknown;
  fedramp?: unknown;
  email?: string;
  exp?: number;
}

/** A token as the ChatGPT login issues it, with a signature that is no signature. */
export function chatGptToken(claims: TokenClaims): string {
  const payload = {
    email: claims.email,
    exp: claims.exp,
    'https://api.openai.com/auth': {
      chatgpt_account_id: claims.accountId,
      chatgpt_user_id: claims.userId,
      chatgpt_plan_type: claims.plan,
      chatgpt_account_is_fedramp: claims.fedramp,
    },
  };
  return unsignedToken({ alg: 'RS256' }, payload).reveal();
}
