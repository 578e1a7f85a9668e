import type { AuthDocument, StoredTokens } from '../auth-store/auth-document.ts';
import { invalidCredential } from '../base/errors.ts';
import { isHeaderText, NOT_HEADER_TEXT } from '../base/header-text.ts';
import type { Secret } from '../base/secret.ts';
import { readChatGptClaims } from '../oauth/claims.ts';
import type { Account } from './provider.ts';
import { signInAgain } from './refresh-failure.ts';

/** How long before its expiry an access token is refreshed (Codex: 5 minutes). */
const EXPIRY_MARGIN_MS = 5 * 60_000;
/** Without an expiry, a login is refreshed when it is older than this (Codex: 8 days). */
const MAX_AGE_MS = 8 * 24 * 3_600_000;
/** A login younger than this is not refreshed in the background. */
const MIN_AGE_MS = 2 * 60_000;

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
 * Combines the stored tokens with their claims; the id token comes first, as in Codex.
 * @throws SidecarError AUTH_CREDENTIAL_INVALID when there is no account id
 */
export function readChatGptLogin(tokens: StoredTokens, lastRefresh: string | null): ChatGptLogin {
  const access = readChatGptClaims(tokens.accessToken.reveal());
  if (!access) throw invalidCredential('auth.json tokens.access_token', 'is not a JWT');
  const id = tokens.idToken ? readChatGptClaims(tokens.idToken.reveal()) : null;
  if (tokens.idToken && !id) throw invalidCredential('auth.json tokens.id_token', 'is not a JWT');
  const accountId = tokens.accountId ?? id?.accountId ?? access.accountId;
  if (accountId && !isHeaderText(accountId)) {
    throw invalidCredential('auth.json tokens.account_id', NOT_HEADER_TEXT);
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

/**
 * The login that a document holds now, if it is still one of the same account and user.
 * @throws SidecarError AUTH_REFRESH_FAILED when it is not
 */
export function readSameLogin(document: AuthDocument | null, login: ChatGptLogin): ChatGptLogin {
  if (!document?.tokens) throw signInAgain('auth.json no longer holds a login');
  const found = readChatGptLogin(document.tokens, document.lastRefresh);
  const same = found.account.id === login.account.id && !differ(found.userId, login.userId);
  if (!same) throw signInAgain('auth.json now holds the login of another account');
  return found;
}

/** When a refresh is due, in milliseconds since the epoch; null: never. */
export function refreshDueAt({
  expiresAt,
  lastRefresh,
  refreshToken,
}: ChatGptLogin): number | null {
  if (!refreshToken) return null;
  const refreshedAt = lastRefresh === null ? Number.NaN : Date.parse(lastRefresh);
  if (Number.isNaN(refreshedAt)) return expiresAt === null ? null : expiresAt - EXPIRY_MARGIN_MS;
  if (expiresAt === null) return refreshedAt + MAX_AGE_MS;
  // A token that is due as soon as it arrives would be refreshed endlessly.
  const earliest = Math.max((expiresAt - refreshedAt) / 2, MIN_AGE_MS);
  return Math.max(expiresAt - EXPIRY_MARGIN_MS, refreshedAt + earliest);
}

/** Whether a token names another account or user than the tokens of a login do. */
export function namesOther(token: Secret | null, login: ChatGptLogin): boolean {
  const claims = token && readChatGptClaims(token.reveal());
  if (!claims) return false;
  const accountId = readChatGptClaims(login.accessToken.reveal())?.accountId ?? login.account.id;
  return differ(claims.accountId, accountId) || differ(claims.userId, login.userId);
}

/** Whether both are known, and they differ. */
function differ(a: string | null, b: string | null): boolean {
  return a !== null && b !== null && a !== b;
}
