import type { StoredTokens } from '../auth-store/auth-document.ts';
import type { Secret } from '../base/secret.ts';
import { RefreshError } from '../oauth/token-endpoint.ts';
import type { RefreshedTokens } from '../oauth/token-response.ts';
import { type ChatGptLogin, namesOther, readChatGptLogin } from './chatgpt-login.ts';

/**
 * The login that a refresh leads to. Where its tokens cannot be read, it is the old one with the new
 * refresh token: the old refresh token is spent all the same, and the old access token may still be
 * valid. `error` then says so, after the login was stored.
 * @param spent the refresh token that was sent
 * @param lastRefresh ISO 8601
 * @throws RefreshError when they are the tokens of another account, which must not be stored
 */
export function refreshedLogin(
  before: ChatGptLogin,
  spent: Secret,
  fresh: RefreshedTokens,
  lastRefresh: string,
): { login: ChatGptLogin; error: RefreshError | null } {
  const tokens: StoredTokens = {
    accessToken: fresh.accessToken ?? before.accessToken,
    idToken: fresh.idToken ?? before.idToken,
    refreshToken: fresh.refreshToken ?? spent,
    accountId: before.account.id,
    provenance: before.provenance,
    place: 'the response',
  };
  let login: ChatGptLogin;
  try {
    if (!fresh.accessToken && fresh.problem !== null) throw new Error(fresh.problem);
    login = readChatGptLogin(tokens, lastRefresh);
  } catch (cause) {
    const problem = fresh.problem === null ? '' : `: ${fresh.problem}`;
    const message = `the token endpoint sent tokens that cannot be read${problem}`;
    return {
      login: { ...before, refreshToken: tokens.refreshToken },
      error: new RefreshError(message, 'refused', { cause }),
    };
  }
  if (namesOther(fresh.accessToken, before) || namesOther(fresh.idToken, before)) {
    throw new RefreshError('the token endpoint sent the tokens of another account', 'permanent');
  }
  return { login, error: null };
}
