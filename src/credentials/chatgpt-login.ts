import { isHeaderText, NO_HEADER_TEXT, type StoredTokens } from '../auth-store/auth-document.ts';
import { invalidCredential } from '../errors.ts';
import { readChatGptClaims } from '../oauth/claims.ts';
import type { Secret } from '../secret.ts';
import type { Account } from './types.ts';

/** A ChatGPT login as the providers need it. */
export interface ChatGptLogin {
  accessToken: Secret;
  refreshToken: Secret | null;
  idToken: Secret | null;
  account: Account & { id: string };
  userId: string | null;
  /** Milliseconds since the epoch; null when the access token does not say. */
  expiresAt: number | null;
  lastRefresh: string | null;
}

/**
 * Puts the stored tokens and their claims together; the id token speaks first, as in Codex.
 * @throws SidecarError AUTH_CREDENTIAL_INVALID when no account id is to be found
 */
export function readChatGptLogin(tokens: StoredTokens, lastRefresh: string | null): ChatGptLogin {
  const access = readChatGptClaims(tokens.accessToken.reveal());
  if (!access) throw invalidCredential('auth.json tokens.access_token', 'is not a JWT');
  const id = tokens.idToken ? readChatGptClaims(tokens.idToken.reveal()) : null;
  if (tokens.idToken && !id) throw invalidCredential('auth.json tokens.id_token', 'is not a JWT');
  const accountId = tokens.accountId ?? id?.accountId ?? access.accountId;
  if (accountId && !isHeaderText(accountId)) {
    throw invalidCredential('auth.json tokens.account_id', NO_HEADER_TEXT);
  }
  if (!accountId) {
    throw invalidCredential('auth.json tokens.account_id', 'is missing, and no token names one');
  }
  return {
    accessToken: tokens.accessToken,
    refreshToken: tokens.refreshToken,
    idToken: tokens.idToken,
    account: {
      id: accountId,
      email: id?.email ?? access.email,
      planType: id?.planType ?? access.planType,
      fedramp: (id?.fedramp ?? false) || access.fedramp,
    },
    userId: id?.userId ?? access.userId,
    expiresAt: access.expiresAt,
    lastRefresh,
  };
}
