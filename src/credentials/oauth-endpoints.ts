import type { TokenProvenance } from '../auth-store/auth-document.ts';
import { invalidCredential } from '../base/errors.ts';
import type { Config } from '../config/resolve.ts';
import { CODEX_CLIENT_ID, type OAuthEndpoints } from '../oauth/token-endpoint.ts';

const DEFAULT_ISSUER = 'https://auth.openai.com';

/** Whether tokens of this provenance can be refreshed here. */
export function isKnownIssuer(
  { oauthIssuer }: Pick<OAuthSettings, 'oauthIssuer'>,
  { issuer }: TokenProvenance,
): boolean {
  return [oauthIssuer, DEFAULT_ISSUER].includes(withoutSlash(issuer));
}

type OAuthSettings = Pick<Config['upstream'], 'oauthIssuer' | 'oauthTokenUrl' | 'oauthRevokeUrl'>;

/**
 * Where tokens of this provenance are refreshed and revoked, and as which client. Endpoints of the
 * configuration come first.
 * @param clientId for tokens that do not say which client they were issued to; null means Codex's own
 * @throws SidecarError AUTH_CREDENTIAL_INVALID for an issuer that is neither the configured one nor
 *   OpenAI's: a refresh token must not go to a host that a file names
 */
export function oauthEndpoints(
  { oauthIssuer, oauthTokenUrl, oauthRevokeUrl }: OAuthSettings,
  provenance: TokenProvenance | null,
  clientId: string | null,
): Omit<OAuthEndpoints, 'http'> & { issuer: string } {
  const issuer = provenance ? withoutSlash(provenance.issuer) : oauthIssuer;
  if (provenance && !isKnownIssuer({ oauthIssuer }, provenance)) {
    throw invalidCredential(
      `${provenance.place} tokens.oauth_provenance.issuer`,
      `is neither upstream.oauthIssuer (${oauthIssuer}) nor ${DEFAULT_ISSUER}; sign in again`,
    );
  }
  return {
    issuer,
    tokenUrl: oauthTokenUrl ?? `${issuer}/oauth/token`,
    revokeUrl: oauthRevokeUrl ?? `${issuer}/oauth/revoke`,
    clientId: provenance?.clientId ?? clientId ?? CODEX_CLIENT_ID,
  };
}

/** Where runtime instances are registered. */
export function instanceUrl({
  oauthIssuer,
  instanceRegistrationUrl,
}: Pick<Config['upstream'], 'oauthIssuer' | 'instanceRegistrationUrl'>): string {
  return instanceRegistrationUrl ?? `${oauthIssuer}/agent/register`;
}

function withoutSlash(url: string): string {
  return url.replace(/\/+$/, '');
}
