import { NO_CREDENTIAL, type TokenProvenance } from '../../auth-store/auth-document.ts';
import { type AuthStore, StoreUnavailable } from '../../auth-store/store.ts';
import { SidecarError } from '../../base/errors.ts';
import type { Secret } from '../../base/secret.ts';
import { USER_AGENT } from '../../base/version.ts';
import { oauthEndpoints } from '../../credentials/oauth-endpoints.ts';
import { revokeToken } from '../../oauth/token-endpoint.ts';
import { openDispatcher } from '../../sidecar/preflight.ts';
import type { Settings } from '../../sidecar/settings.ts';
import { createHttpClient } from '../../upstream/http-client.ts';

/**
 * Removes every credential from the store in use; fields that this program does not know stay.
 * @returns lines for the user
 */
export async function logout(
  store: AuthStore,
  settings: Settings,
  revoke: boolean,
): Promise<string[]> {
  try {
    return await removeFrom(store, settings, revoke);
  } catch (error) {
    // An unusable credential can be removed too, but we cannot tell what to revoke.
    if (revoke || !(error instanceof SidecarError) || error instanceof StoreUnavailable)
      throw error;
    await store.overwrite(NO_CREDENTIAL);
    return [`removed the credential from ${store.location}`];
  }
}

function removeFrom(store: AuthStore, settings: Settings, revoke: boolean): Promise<string[]> {
  return store.transact(async ({ current, write }) => {
    if (!current) return [`${store.location} holds no credential`];
    const lines: string[] = [];
    const { refreshToken, provenance } = current.tokens ?? {};
    if (revoke && refreshToken) {
      await revokeAt(settings, refreshToken, provenance ?? null);
      lines.push('revoked the refresh token');
    } else if (revoke) {
      lines.push('there is no refresh token to revoke');
    }
    await write(NO_CREDENTIAL);
    return [...lines, `removed the credential from ${store.location}`];
  });
}

async function revokeAt(
  settings: Settings,
  token: Secret,
  provenance: TokenProvenance | null,
): Promise<void> {
  const endpoints = oauthEndpoints(settings.config.upstream, provenance, settings.oauthClientId);
  const dispatcher = await openDispatcher(settings);
  try {
    await revokeToken(
      {
        ...endpoints,
        http: createHttpClient(dispatcher, USER_AGENT),
      },
      token,
    );
  } catch (cause) {
    const problem = cause instanceof Error ? cause.message : 'unknown failure';
    throw new Error(`the token could not be revoked, so nothing was removed: ${problem}`);
  } finally {
    await dispatcher.close();
  }
}
