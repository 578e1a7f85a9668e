import type { AuthDocument, StoredTokens, TokenProvenance } from '../auth-store/auth-document.ts';
import { invalidCredential } from '../base/errors.ts';
import { isHeaderText, NOT_HEADER_TEXT } from '../base/header-text.ts';
import type { Secret } from '../base/secret.ts';
import { readChatGptClaims } from '../oauth/claims.ts';
import type { Account } from './provider.ts';
import { signInAgain } from './refresh-failure.ts';

/** How long before its expiry Codex refreshes an access token. */
const CODEX_AHEAD_MS = 5 * 60_000;
/** Codex holds no lock while it refreshes, so whoever shares a login with it has to be first. */
const BEFORE_CODEX_MS = 5 * 60_000;
const EXPIRY_MARGIN_MS = CODEX_AHEAD_MS + BEFORE_CODEX_MS;
const MIN_JITTER_MS = 60_000;
const MAX_JITTER_MS = 10 * 60_000;
/** A person who has to sign in again needs a day. */
const MAX_AHEAD_MS = 24 * 3_600_000;
/** Without an expiry, a login is refreshed when it is older than this (Codex: after 8 days). */
const MAX_AGE_MS = 8 * 24 * 3_600_000 - BEFORE_CODEX_MS;
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
  provenance: TokenProvenance | null;
}

/**
 * Combines the stored tokens with their claims; the id token comes first, as in Codex.
 * @throws SidecarError AUTH_CREDENTIAL_INVALID when there is no account id
 */
export function readChatGptLogin(tokens: StoredTokens, lastRefresh: string | null): ChatGptLogin {
  const wrong = (name: string, problem: string) =>
    invalidCredential(`${tokens.place} tokens.${name}`, problem);
  const access = readChatGptClaims(tokens.accessToken.reveal());
  if (!access) throw wrong('access_token', 'is not a JWT');
  const id = tokens.idToken ? readChatGptClaims(tokens.idToken.reveal()) : null;
  if (tokens.idToken && !id) throw wrong('id_token', 'is not a JWT');
  const accountId = tokens.accountId ?? id?.accountId ?? access.accountId;
  if (!accountId) throw wrong('account_id', 'is missing, and no token names one');
  if (!isHeaderText(accountId)) throw wrong('account_id', NOT_HEADER_TEXT);
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
    provenance: tokens.provenance,
  };
}

/**
 * The login that a document holds now, if it is still one of the same account and user.
 * @throws SidecarError AUTH_REFRESH_FAILED when it is not
 */
export function readSameLogin(document: AuthDocument | null, login: ChatGptLogin): ChatGptLogin {
  if (!document?.tokens) throw signInAgain('the store no longer holds a login');
  const found = readChatGptLogin(document.tokens, document.lastRefresh);
  const same = found.account.id === login.account.id && !differ(found.userId, login.userId);
  if (!same) throw signInAgain('the store now holds the login of another account');
  return found;
}

/** How long before its end a token is refreshed. @param lifetimeMs null when it is not known */
export type RefreshAhead = (lifetimeMs: number | null) => number;

/** As late as possible, and still before a Codex that uses the same file. */
export const REFRESH_LATE: RefreshAhead = () => EXPIRY_MARGIN_MS;

/** Where the store may be away for hours, or a refresh have to be repaired by a person. */
export const REFRESH_EARLY: RefreshAhead = (lifetimeMs) =>
  Math.max(EXPIRY_MARGIN_MS, Math.min(MAX_AHEAD_MS, (lifetimeMs ?? 0) / 10));

/**
 * When a refresh is due, in milliseconds since the epoch; null: never.
 * @param ahead how long before the end
 */
export function refreshDueAt(
  { expiresAt, lastRefresh, refreshToken }: ChatGptLogin,
  ahead: RefreshAhead = REFRESH_LATE,
): number | null {
  if (!refreshToken) return null;
  const refreshedAt = lastRefresh === null ? Number.NaN : Date.parse(lastRefresh);
  if (Number.isNaN(refreshedAt)) return expiresAt === null ? null : expiresAt - ahead(null);
  if (expiresAt === null) return refreshedAt + MAX_AGE_MS;
  // A token that is due as soon as it arrives would be refreshed endlessly.
  const earliest = Math.max((expiresAt - refreshedAt) / 2, MIN_AGE_MS);
  return Math.max(expiresAt - ahead(expiresAt - refreshedAt), refreshedAt + earliest);
}

/** By how much a refresh may come earlier: those who share a login should not wake in one second. */
export function refreshJitterMs({ expiresAt, lastRefresh }: ChatGptLogin, ahead: RefreshAhead) {
  const lifetimeMs = (expiresAt ?? Number.NaN) - Date.parse(lastRefresh ?? '');
  const share = ahead(Number.isNaN(lifetimeMs) ? null : lifetimeMs) / 10;
  return Math.min(MAX_JITTER_MS, Math.max(MIN_JITTER_MS, share));
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

/** Whether two sets hold the same access token and refresh token. */
export function sameTokens(
  a: Pick<StoredTokens, 'accessToken' | 'refreshToken'>,
  b: Pick<StoredTokens, 'accessToken' | 'refreshToken'>,
): boolean {
  const sameRefresh =
    a.refreshToken && b.refreshToken
      ? a.refreshToken.equals(b.refreshToken)
      : a.refreshToken === b.refreshToken;
  return sameRefresh && a.accessToken.equals(b.accessToken);
}
