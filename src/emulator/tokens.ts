import type { Clock } from '../base/clock.ts';
import type { EmulatedAccount, IdSource } from './accounts.ts';
import type { SigningKey } from './signing-key.ts';

/** What a bearer token that was issued here stands for. */
export type Grant =
  | { kind: 'access'; account: EmulatedAccount; expiresAtMs: number; revoked: boolean }
  | { kind: 'personal'; account: EmulatedAccount }
  | { kind: 'apiKey' };

/** What the token endpoint hands out. */
export interface TokenSet {
  idToken: string;
  accessToken: string;
  refreshToken: string;
}

export type RefreshResult =
  | { ok: true; tokens: TokenSet }
  | { ok: false; code: 'refresh_token_reused' | 'refresh_token_invalidated' };

/** One sign-in, which a chain of refresh tokens follows from. */
interface SignIn {
  family: number;
  /** The client that signed in; null: any may refresh. */
  clientId: string | null;
}

interface RefreshState extends SignIn {
  account: EmulatedAccount;
  accessToken: string;
  state: 'live' | 'used' | 'revoked';
}

const CLIENT_ID = 'app_EMoamEEZ73f0CkXaXp7hrann';

/** Every bearer and refresh token that one emulator has issued. */
export class TokenStore {
  readonly #grants = new Map<string, Grant>();
  readonly #refresh = new Map<string, RefreshState>();
  readonly #uses = new Map<string, number>();
  #families = 0;
  readonly #signingKey: SigningKey;
  readonly #nextId: IdSource;
  readonly #now: Clock;
  readonly #lifetimeSeconds: number;

  constructor(deps: {
    signingKey: SigningKey;
    nextId: IdSource;
    now: Clock;
    accessTokenLifetimeSeconds: number;
  }) {
    this.#signingKey = deps.signingKey;
    this.#nextId = deps.nextId;
    this.#now = deps.now;
    this.#lifetimeSeconds = deps.accessTokenLifetimeSeconds;
  }

  /** The grant behind a bearer token; null when it was not issued here. */
  find(token: string): Grant | null {
    return this.#grants.get(token) ?? null;
  }

  /** How often each refresh token has been sent. */
  get uses(): ReadonlyMap<string, number> {
    return this.#uses;
  }

  /** Without a sign-in that it follows from, it is one that any client may refresh. */
  issueTokenSet(
    account: EmulatedAccount,
    { family = ++this.#families, clientId = null }: Partial<SignIn> = {},
  ): TokenSet {
    const { accessToken, claims } = this.issueAccessToken(account);
    const aud = [clientId ?? CLIENT_ID];
    const idToken = this.#signingKey.signJwt({ ...claims, aud, sub: account.userId });
    const refreshToken = this.#nextId('rt-');
    this.#refresh.set(refreshToken, { account, accessToken, family, clientId, state: 'live' });
    return { idToken, accessToken, refreshToken };
  }

  issueAccessToken(account: EmulatedAccount) {
    const issuedAt = Math.floor(this.#now() / 1000);
    const expiresAt = issuedAt + this.#lifetimeSeconds;
    const claims = { ...accountClaims(account), iat: issuedAt, exp: expiresAt };
    const accessToken = this.#signingKey.signJwt({
      ...claims,
      aud: ['https://api.openai.com/v1'],
      jti: this.#nextId('at-jti-'),
    });
    const expiresAtMs = expiresAt * 1000;
    this.#grants.set(accessToken, { kind: 'access', account, expiresAtMs, revoked: false });
    return { accessToken, claims, expiresInSeconds: this.#lifetimeSeconds };
  }

  issuePersonalAccessToken(account: EmulatedAccount): string {
    const token = this.#nextId('at-');
    this.#grants.set(token, { kind: 'personal', account });
    return token;
  }

  issueApiKey(): string {
    const key = this.#nextId('sk-emulated-');
    this.#grants.set(key, { kind: 'apiKey' });
    return key;
  }

  /**
   * Rotates: the given refresh token works once, then the one in the response does.
   * @param clientId whoever signed in with another one is not known by it
   * @param revokeFamily whether a spent one ends all that follow from the same sign-in (RFC 9700)
   */
  refresh(refreshToken: string, clientId: string, revokeFamily = false): RefreshResult {
    this.#uses.set(refreshToken, (this.#uses.get(refreshToken) ?? 0) + 1);
    const known = this.#refresh.get(refreshToken);
    const isOthers = known?.clientId != null && known.clientId !== clientId;
    if (!known || isOthers || known.state === 'revoked') {
      return { ok: false, code: 'refresh_token_invalidated' };
    }
    if (known.state === 'used') {
      if (revokeFamily) this.#revokeFamily(known.family);
      return { ok: false, code: 'refresh_token_reused' };
    }
    known.state = 'used';
    return { ok: true, tokens: this.issueTokenSet(known.account, known) };
  }

  #revokeFamily(family: number): void {
    for (const token of this.#refresh.values()) {
      if (token.family === family && token.state === 'live') token.state = 'revoked';
    }
  }

  /** Revokes a refresh token with its access token, or any bearer token; unknown ones are ignored. */
  revoke(token: string): void {
    const refresh = this.#refresh.get(token);
    if (refresh) refresh.state = 'revoked';
    const bearer = refresh?.accessToken ?? token;
    const grant = this.#grants.get(bearer);
    if (grant?.kind === 'access') grant.revoked = true;
    else this.#grants.delete(bearer);
  }

  /** Ends every access token issued so far, whatever its `exp` says. Refresh tokens stay good. */
  expireAccessTokens(): void {
    for (const grant of this.#grants.values()) {
      if (grant.kind === 'access') grant.revoked = true;
    }
  }
}

function accountClaims(account: EmulatedAccount): Record<string, unknown> {
  return {
    iss: 'https://auth.openai.com',
    ...(account.email === null ? {} : { email: account.email }),
    'https://api.openai.com/auth': {
      chatgpt_account_id: account.accountId,
      chatgpt_user_id: account.userId,
      chatgpt_plan_type: account.planType,
      chatgpt_account_is_fedramp: account.fedramp,
    },
  };
}
